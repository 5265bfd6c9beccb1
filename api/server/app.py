"""Assemble the application: routers, middleware and the state of one process."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

from api.http import problems
from api.http.load_shedding import Load, LoadShedding
from api.http.middleware import JsonOnly, OwnAddress, RequestId
from api.http.ports import Ports, Worker
from api.http.routing import RouteTable
from api.http.static_files import Pages
from api.live import sse
from api.openapi import page
from api.openapi.document import Api, with_status_codes
from api.ops import health, metrics
from api.routes import (
    account,
    applications,
    bookings,
    companies,
    coverage,
    earnings,
    exams,
    exports,
    files,
    jobs,
    levels,
    messages,
    notices,
    offers,
    packages,
    passkeys,
    phone_numbers,
    phones,
    places,
    profile,
    quotes,
    review_requests,
    reviews,
    sessions,
)
from api.routes.desk import applications as desk_applications
from api.routes.desk import bookings as desk_bookings
from api.routes.desk import companies as desk_companies
from api.routes.desk import dispatching as desk_dispatching
from api.routes.desk import errands as desk_errands
from api.routes.desk import exams as desk_exams
from api.routes.desk import friends as desk_friends
from api.routes.desk import journals as desk_journals
from api.routes.desk import levels as desk_levels
from api.routes.desk import map as desk_map
from api.routes.desk import messages as desk_messages
from api.routes.desk import packages as desk_packages
from api.routes.desk import partners as desk_partners
from api.routes.desk import people as desk_people
from api.routes.desk import review_requests as desk_review_requests
from api.routes.desk import reviews as desk_reviews
from api.server.adapters import build_ports
from dispatch.runtime import Runtime

ROUTERS = (
    packages.router,
    quotes.router,
    places.router,
    coverage.router,
    bookings.router,
    offers.router,
    companies.router,
    desk_companies.router,
    jobs.router,
    levels.router,
    messages.router,
    earnings.router,
    reviews.of_friends,
    reviews.router,
    exams.router,
    exports.router,
    review_requests.router,
    files.uploads,
    files.router,
    profile.router,
    applications.router,
    desk_applications.router,
    phones.router,
    phone_numbers.router,
    notices.router,
    desk_dispatching.router,
    desk_bookings.router,
    desk_map.router,
    desk_messages.router,
    desk_exams.router,
    desk_errands.router,
    desk_levels.router,
    desk_friends.files,
    desk_friends.router,
    desk_packages.router,
    desk_partners.router,
    desk_people.router,
    desk_journals.router,
    desk_reviews.router,
    desk_review_requests.router,
    sessions.router,
    passkeys.router,
    account.router,
    account.favourites,
    sse.router,
    health.router,
    page.router,
)


def create_app(
    rt: Runtime | None = None,
    worker: Worker | None = None,
    *,
    ports: Ports | None = None,
    process: int | None = None,
) -> Api:
    """The application on a runtime; without one only `.openapi()` works.

    `worker` is the worker of this process, if any; `ports` default to the real adapters; `process`
    is the number of this process among several on one socket.
    """
    app = Api(
        title="tekkie",
        version=version("tekkie"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    for router in ROUTERS:
        app.include_router(with_status_codes(router))
    problems.install_handlers(app)
    if rt is not None:
        app.state.rt = rt
        app.state.worker = worker
        app.state.secret = rt.settings.key()
        app.state.ports = ports or build_ports(rt)
        load = Load()
        app.state.conditions = {"load": load.problem, "disk": partial(health.disk_problem, rt)}
        # The middleware added last runs first.
        app.add_middleware(
            RouteTable, routes=[route for router in ROUTERS for route in router.routes]
        )
        app.add_middleware(JsonOnly)
        app.add_middleware(LoadShedding, load=load)
        app.add_middleware(Pages, map_style_url=rt.settings.map_style_url)
        if rt.settings.ops_port is not None:
            app.add_middleware(OwnAddress, port=rt.settings.ops_port)
        app.add_middleware(RequestId, https=rt.settings.is_https)
        metrics.install(app, rt, process)
    return app

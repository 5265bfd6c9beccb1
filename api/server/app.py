"""The whole API, read from top to bottom."""

from __future__ import annotations

from importlib.metadata import version

from api.http import problems
from api.http.load_shedding import Door
from api.http.middleware import Numbered, OnlyJson
from api.http.ports import Outside, Worker
from api.http.routing import Ways
from api.http.static_files import Pages
from api.live import sse
from api.openapi import page
from api.openapi.document import Api, stated
from api.ops import health, metrics
from api.routes import (
    bookings,
    coverage,
    offers,
    packages,
    phones,
    places,
    profile,
    quotes,
    sessions,
)
from api.routes import (
    jobs as work,
)
from api.routes.desk import (
    actions as desk,
)
from api.routes.desk import (
    bookings as desk_bookings,
)
from api.routes.desk import (
    friends as desk_friends,
)
from api.routes.desk import (
    map as desk_map,
)
from api.routes.desk import (
    messages as desk_messages,
)
from api.routes.desk import (
    partners as desk_partners,
)
from api.server.adapters import by_mail
from dispatch.runtime import Runtime

ROUTERS = (
    packages.router,
    quotes.router,
    places.router,
    coverage.router,
    bookings.router,
    offers.router,
    work.router,
    profile.router,
    phones.router,
    desk.router,
    desk_bookings.router,
    desk_map.router,
    desk_messages.router,
    desk_friends.files,
    desk_friends.router,
    desk_partners.router,
    sessions.router,
    sse.router,
    health.router,
    page.router,
)


def create_app(
    rt: Runtime | None = None,
    worker: Worker | None = None,
    *,
    outside: Outside | None = None,
    process: int | None = None,
) -> Api:
    """The API on a runtime; without one it can only describe itself (`.openapi()`).

    `worker` is this process's own, when it has one; `outside` sends letters and writes calendars;
    `process` is its number among several on one socket.
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
        app.include_router(stated(router))
    problems.install(app)
    if rt is not None:
        app.state.rt = rt
        app.state.worker = worker
        app.state.secret = rt.settings.key()
        app.state.outside = outside or by_mail(rt)
        # The last added is the first a request meets.
        app.add_middleware(Ways, routes=[route for router in ROUTERS for route in router.routes])
        app.add_middleware(OnlyJson)
        app.add_middleware(Door)
        app.add_middleware(Pages, map_style_url=rt.settings.map_style_url)
        app.add_middleware(Numbered, https=rt.settings.base_url.startswith("https://"))
        metrics.install(app, rt, process)
    return app

"""The whole API, read from top to bottom."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from api import docs, health, live, metrics, problems
from api.direct import Ways
from api.door import Door
from api.middleware import Numbered, OnlyJson
from api.openapi import Api, stated
from api.outside import Outside
from api.pages import Pages
from api.routes import (
    bookings,
    coverage,
    desk,
    desk_bookings,
    desk_friends,
    desk_map,
    desk_messages,
    desk_partners,
    offers,
    packages,
    phones,
    places,
    profile,
    quotes,
    sessions,
    work,
)
from api.sending import by_mail
from dispatch.runtime import Runtime

if TYPE_CHECKING:
    from scheduler.worker import Worker

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
    live.router,
    health.router,
    docs.router,
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

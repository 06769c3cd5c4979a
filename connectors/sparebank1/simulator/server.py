"""The simulated platform as an aiohttp application.

It serves the platform's routes (contract sparebank1-regnskap 1 to 6) and, for tests and the demo,
`/_simulator/…`, which answers this machine only.
"""

from aiohttp import web

from connectors.sparebank1.simulator import admin
from connectors.sparebank1.simulator.settings import SimulatorConfig
from connectors.sparebank1.simulator.shell import BODY_MAX, Clock, Server

SERVER: web.AppKey[Server] = web.AppKey("server", Server)


def build_app(config: SimulatorConfig, clock: Clock) -> web.Application:
    """The simulated platform as an application; its state is at `app[SERVER]`. `clock` gives UTC.

    Raises ValueError for a base currency that is not known, OSError where `state_path` cannot be
    opened.
    """
    server = Server(config, clock)
    app = web.Application(client_max_size=BODY_MAX)
    app[SERVER] = server
    app.on_cleanup.append(server.close)
    admin.add_routes(app, server)
    app.router.add_route("*", "/{path:.*}", server.handle)
    return app

"""`moment-sync console`: the console alone, beside a ledger that others write."""

import asyncio
import hashlib
import os
import signal
from typing import Final

import click
from aiohttp import web

from streams.clock import SystemClock, new_id
from streams.console.app import add_console
from streams.console.people import People, PeopleError, door_of
from streams.console.view import IntegrationsFile
from streams.ops import console_output as out
from streams.ops.command_base import CommandEnds, Exit, example, json_option, settings_in_force
from streams.setting_values import Address, address
from streams.settings import Settings

DEFAULT_LISTEN: Final = "127.0.0.1:8081"  # beside a worker, whose own pages are on 8080
STOP_S: Final = 2.0  # how long pages that are being written may take; listeners are cut off


@click.command(
    epilog=example(
        "moment-sync console",
        "moment-sync console --listen 127.0.0.1:9000",
        "moment-sync console --new-token kari",
    )
)
@click.option(
    "--listen", default=DEFAULT_LISTEN, show_default=True, metavar="HOST:PORT", help="Where."
)
@click.option("--new-token", "name", metavar="NAME", help="Make a token for a person, and end.")
@json_option
def console(listen: str, name: str | None, as_json: bool) -> None:
    """Serve the console until SIGTERM, reading the ledger beside the workers.

    It opens nothing and writes nothing but commands, and those only where MOMENT_SYNC_CONSOLE is
    act. It also serves where the ledger is away, says so, and comes back with it.
    """
    if name is not None:
        _new_token(name, as_json=as_json)
        return
    settings = settings_in_force()
    if settings.console == "off":
        raise CommandEnds(Exit.WRONG, "MOMENT_SYNC_CONSOLE = 'off': read or act serves the console")
    place = address(listen)
    if place is None:
        raise CommandEnds(Exit.WRONG, f"--listen {listen!r} is not host:port")
    _refuse_bad_people(settings, place)
    asyncio.run(_serve(settings, place, as_json=as_json))


def _refuse_bad_people(settings: Settings, place: Address) -> None:
    try:
        _ = People(door_of(settings, place)).has_tokens
    except PeopleError as error:
        raise CommandEnds(Exit.WRONG, str(error)) from None


def _new_token(name: str, *, as_json: bool) -> None:
    token = new_id() + new_id()
    digest = hashlib.sha256(token.encode()).hexdigest()
    if as_json:
        out.document({"name": name, "token": token, "token_sha256": digest})
        return
    out.text(f"token, for {name} alone:  {token}")
    out.text("for the file that MOMENT_SYNC_CONSOLE_PEOPLE names:")
    out.text(f'\n[[people]]\nname = "{name}"\ntoken_sha256 = "{digest}"\nact = false')


async def _serve(settings: Settings, place: Address, *, as_json: bool) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    app = web.Application()
    add_console(
        app,
        settings,
        set_up=IntegrationsFile(settings.integrations, os.environ, out.say),
        clock=SystemClock(),
        listens=place,
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, place.host, place.port)
        try:
            await site.start()
        except OSError as error:
            why = error.strerror or str(error)
            raise CommandEnds(Exit.WRONG, f"{place.host}:{place.port}: {why}") from None
        port = runner.addresses[0][1]
        if as_json:
            out.document({"console": f"http://{place.host}:{port}/console/"})
        else:
            out.text(f"the console is at http://{place.host}:{port}/console/")
        await ended.wait()
    finally:
        await runner.cleanup()

"""`moment-sync simulate`: an accounting system on this machine, to try things out.

Without a configuration each serves one made-up company, whose secret is made on the first run
and kept in a file of the working directory.
"""

# ruff: noqa: PLC0415 - each simulator is loaded by its own command
import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import click
import msgspec

from streams.clock import new_id
from streams.ops import console_output as out
from streams.ops.command_base import CommandEnds, Exit, example, json_option

# The company of the documentation's examples.
COMPANY_KEY: Final = "3f0c2a52-0a5e-4d0e-9d32-3f2a1f8d8b11"
CLIENT_ID: Final = "moment-sync-simulated"
SALES_PERSON: Final = "web"
KEY_BITS: Final = 2048  # the least that RS256 should be used with
OWNER_ONLY: Final = 0o600

Start = Callable[..., AbstractAsyncContextManager[Any]]


class Simulated(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is told of a simulator that listens: where it is, and how to integrate with it."""

    system: str
    base_url: str
    secret_file: str | None
    integrations: str


@click.group()
def simulate() -> None:
    """Serve a simulated accounting system until SIGTERM or Ctrl-C."""


def _options(secret: str, port: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for option in (
            json_option,
            click.option(
                "--secret-file",
                default=secret,
                show_default=True,
                help="Without --config: holds the company's secret; made where it is missing.",
            ),
            click.option(
                "--config",
                "config_path",
                type=click.Path(exists=True, dir_okay=False),
                help="Companies, switches and faults, TOML or JSON.",
            ),
            click.option("--host", default="127.0.0.1", show_default=True),
            click.option(
                "--port",
                type=click.IntRange(0, 65535),
                default=port,
                show_default=True,
                help="0 takes a free one.",
            ),
        ):
            function = option(function)
        return function

    return decorate


# --- SpareBank 1 Regnskap --------------------------------------------------------------------


@simulate.command(
    "sparebank1",
    epilog=example(
        "moment-sync simulate sparebank1",
        "moment-sync simulate sparebank1 --port 0 --config hostile.toml --json",
    ),
)
@_options("sparebank1-simulator.pem", 18081)
def sparebank1(
    port: int, host: str, config_path: str | None, secret_file: str, as_json: bool
) -> None:
    """Serve SpareBank 1 Regnskap: its identity server and its API on one port."""
    from connectors.sparebank1.simulator import serve, settings

    def default() -> settings.SimulatorConfig:
        return settings.SimulatorConfig(
            companies=(settings.CompanyConfig(key=COMPANY_KEY, name="Fjord Rådgivning AS"),),
            clients=(
                settings.ClientConfig(client_id=CLIENT_ID, public_key=_public_key(secret_file)),
            ),
        )

    config = default() if config_path is None else _read(lambda: serve.load(config_path))
    client = config.clients[0].client_id if config.clients else CLIENT_ID

    key_file = "client-key.pem" if config_path else _absolute(secret_file)

    def snippet(base_url: str) -> str:
        tables = "\n".join(
            _integration(f"simulated-sb1-{index}", f"c-{1001 + index}", "sparebank1", base_url)
            + f"identity_url = {_quoted(base_url)}\ncompany_key = {_quoted(company.key)}\n"
            for index, company in enumerate(config.companies)
        )
        return (
            f"{_allow(base_url)}[clients.sparebank1]\nclient_id = {_quoted(client)}\n"
            f"key_file = {_quoted(key_file)}\n\n{tables}"
        )

    _serve(
        "sparebank1",
        serve.running_simulator,
        config,
        host,
        port,
        snippet,
        secret_file=None if config_path else secret_file,
        as_json=as_json,
    )


def _public_key(path: str) -> str:
    """The public half (PEM) of the private key in a file, which is made where it is missing."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    def make() -> bytes:
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        return key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    try:
        private = serialization.load_pem_private_key(_kept(path, make), password=None)
    except (ValueError, TypeError):
        raise CommandEnds(Exit.WRONG, f"{path} does not hold a private key (PEM)") from None
    return (
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


# --- DK+ -------------------------------------------------------------------------------------


@simulate.command(
    "dkplus",
    epilog=example(
        "moment-sync simulate dkplus",
        "moment-sync simulate dkplus --port 0 --config hostile.toml --json",
    ),
)
@_options("dkplus-simulator.token", 18082)
def dkplus(port: int, host: str, config_path: str | None, secret_file: str, as_json: bool) -> None:
    """Serve DK+."""
    from connectors.dkplus.simulator import serve, settings

    def default() -> settings.SimulatorConfig:
        token = _kept(secret_file, lambda: str(UUID(hex=new_id())).encode()).decode().strip()
        company = settings.CompanyConfig(
            token=token, name="Vík ehf.", key="vik", sales_persons=(SALES_PERSON,)
        )
        return settings.SimulatorConfig(companies=(company,))

    config = (
        default() if config_path is None else _read(lambda: serve.read_config(Path(config_path)))
    )

    def table(index: int, company: settings.CompanyConfig, base_url: str) -> str:
        token_file = f"{company.identity}.token" if config_path else _absolute(secret_file)
        sales_person = next(iter(company.sales_persons), SALES_PERSON)
        return (
            _integration(f"simulated-dk-{index}", f"c-{2001 + index}", "dkplus", base_url)
            + f"token_file = {_quoted(token_file)}\nsales_person = {_quoted(sales_person)}\n"
        )

    def snippet(base_url: str) -> str:
        tables = (table(index, one, base_url) for index, one in enumerate(config.companies))
        return _allow(base_url) + "\n".join(tables)

    _serve(
        "dkplus",
        serve.running_simulator,
        config,
        host,
        port,
        snippet,
        secret_file=None if config_path else secret_file,
        as_json=as_json,
    )


# --- both ------------------------------------------------------------------------------------


def _serve(
    system: str,
    start: Start,
    config: Any,
    host: str,
    port: int,
    snippet: Callable[[str], str],
    *,
    secret_file: str | None,
    as_json: bool,
) -> None:
    """Listen, tell where, and serve until told to stop. Ends the command (2) where it cannot."""

    def ready(base_url: str) -> None:
        told = Simulated(
            system=system,
            base_url=base_url,
            secret_file=secret_file,
            integrations=snippet(base_url),
        )
        if as_json:
            out.document(told)
            return
        out.text(f"{system} is simulated at {base_url}; this is its integrations.toml:\n")
        out.text(told.integrations)

    async def until_told() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with start(config, host=host, port=port) as running:
            ready(running.base_url)
            await stop.wait()

    try:
        asyncio.run(until_told())
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise CommandEnds(Exit.WRONG, f"the simulator cannot be started: {error}") from None


def _read(load: Callable[[], Any]) -> Any:
    try:
        return load()
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise CommandEnds(Exit.WRONG, f"--config: {error}") from None


def _kept(path: str, make: Callable[[], bytes]) -> bytes:
    """What a file holds; it is made, for its owner alone to read, where it is missing."""
    try:
        if not Path(path).exists():
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
            with os.fdopen(handle, "wb") as file:
                file.write(make())
        return Path(path).read_bytes()
    except OSError as error:
        why = error.strerror or "unknown error"
        raise CommandEnds(Exit.WRONG, f"--secret-file {path}: {why}") from None


def _allow(base_url: str) -> str:
    return f"allow_hosts = [{_quoted(urlsplit(base_url).netloc)}]\n\n"


def _absolute(path: str) -> str:
    return str(Path(path).absolute())


def _integration(name: str, company: str, system: str, base_url: str) -> str:
    return (
        f"[[integrations]]\nid = {_quoted(name)}\ncompany = {_quoted(company)}\n"
        f"system = {_quoted(system)}\n"
        'data = ["customers", "projects", "invoices"]\nnotify = "books@company.example"\n'
        f"base_url = {_quoted(base_url)}\n"
    )


def _quoted(text: str) -> str:
    """A basic string of TOML; JSON's escapes are all among TOML's."""
    return msgspec.json.encode(text).decode()

"""What every command is made with: exit codes, endings, examples, settings, what it must reach."""

import os
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import IO, Any, Final, TypeVar

import click

from connectors.integrations import Integration
from connectors.known_secrets import remember
from streams.integrations_file import Integrations, IntegrationsError
from streams.integrations_file import read as read_integrations
from streams.setting_values import passwords_in
from streams.settings import Settings, SettingsError
from streams.settings import load as load_settings

Function = TypeVar("Function", bound=Callable[..., Any])

# Interface section 7: what a command needs is waited for at most this long, in seconds.
WAIT_S: Final = 30.0


class Exit(IntEnum):
    """Exit codes (interface section 7)."""

    DONE = 0
    FOUND = 1  # what it looks for: a violation, a failed check, a refused replay
    WRONG = 2  # use or settings
    AWAY = 3  # something it needs cannot be reached


class CommandEnds(click.ClickException):
    """End the command with this code and these words on stderr, as they stand."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.exit_code = int(code)

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the message to stderr, one line or many."""
        click.echo(self.message, file=file, err=file is None)


def example(*lines: str) -> str:
    """The `epilog` of a command: how it is used, line by line, not wrapped."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def json_option(function: Function) -> Function:
    """The option `--json`, given to the command as `as_json`."""
    option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
    return option(function)


def settings_in_force(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. Ends the command (2) with every refusal where one is wrong."""
    try:
        settings = load_settings(os.environ if environ is None else environ)
    except SettingsError as error:
        raise CommandEnds(Exit.WRONG, str(error)) from None
    for password in passwords_in(settings.ledger):
        remember(password)
    return settings


def integrations_in_force(
    settings: Settings, environ: Mapping[str, str] | None = None
) -> Integrations:
    """The integrations file. Ends the command (2) with every refusal where one is wrong."""
    try:
        return read_integrations(settings.integrations, os.environ if environ is None else environ)
    except IntegrationsError as error:
        raise CommandEnds(Exit.WRONG, str(error)) from None


def integration_named(integrations: Integrations, integration_id: str) -> Integration:
    """The integration of this id. Ends the command (2) where none is set up."""
    found = integrations.by_id(integration_id)
    if found is None:
        known = ", ".join(one.id for one in integrations.integrations) or "none"
        raise CommandEnds(
            Exit.WRONG, f"integration {integration_id!r} is not set up; there are: {known}"
        )
    return found

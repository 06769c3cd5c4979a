"""The command line `moment-sync`: interface section 7.

Each command lives in a module that is loaded when it is called, so that `--help` is quick. One
whose module is not there is not offered.
"""

# This comes first: a signal may come while the rest is loaded.
import sys

from streams.ops import early_end

if sys.argv[1:2] == ["worker"]:
    early_end.listen()

import importlib
import importlib.util
import logging
from typing import Final

import click
import msgspec

from streams import crash_output, log_output
from streams.ops.command_base import example


class LazyCommand(msgspec.Struct, frozen=True):
    """Where a command is (`module:attribute`, a click command or group) and what it does."""

    target: str
    summary: str

    @property
    def module(self) -> str:
        """The module that holds it."""
        return self.target.partition(":")[0]

    def there(self) -> bool:
        """Whether its module is installed; loads nothing but the packages above it."""
        try:
            return importlib.util.find_spec(self.module) is not None
        except ModuleNotFoundError:  # a package above it is missing
            return False

    def load(self) -> click.Command:
        """Load it. May raise whatever its module raises."""
        found = getattr(importlib.import_module(self.module), self.target.partition(":")[2])
        assert isinstance(found, click.Command), self.target  # noqa: S101 - a bug of ours
        return found


# In the order of `--help`.
COMMANDS: Final[dict[str, LazyCommand]] = {
    "worker": LazyCommand("streams.ops.set_up:worker", "Run a worker until SIGTERM."),
    "demo": LazyCommand(
        "streams.ops.demo.command:demo", "The whole system on this machine, Kafka to books."
    ),
    "topics": LazyCommand("streams.ops.set_up:topics", "Make the topics."),
    "ledger": LazyCommand("streams.ops.set_up:ledger", "Bring the ledger's schema up to date."),
    "config": LazyCommand("streams.ops.set_up:config", "Show the settings in force."),
    "schemas": LazyCommand("streams.ops.set_up:schemas", "Write JSON Schema and AsyncAPI."),
    "check": LazyCommand(
        "streams.ops.books:check", "Ask the accounting systems what the first invoice will need."
    ),
    "emit": LazyCommand("streams.ops.emit:emit", "Check events and put them on their topics."),
    "status": LazyCommand(
        "streams.ops.inspect:status", "Deliveries by state, oldest age, lag, holds."
    ),
    "show": LazyCommand("streams.ops.inspect:show", "The whole story of an entity."),
    "deadletters": LazyCommand(
        "streams.ops.deadletters:deadletters", "List, follow, replay and discard dead letters."
    ),
    "resume": LazyCommand("streams.ops.acts:resume", "End the hold of an integration now."),
    "resync": LazyCommand("streams.ops.acts:resync", "Bring over the last known state in order."),
    "verify": LazyCommand("streams.ops.books:verify", "Our ledger against the books."),
    "forget": LazyCommand(
        "streams.ops.forget:forget", "Erase what the ledger holds of a customer or company."
    ),
    "console": LazyCommand("streams.ops.console:console", "The console in the browser, alone."),
    "simulate": LazyCommand(
        "streams.ops.simulate:simulate", "A simulated accounting system, to try things out."
    ),
    "chaos": LazyCommand(
        "streams.ops.chaos.command:chaos", "Kill what can be killed, then check the history."
    ),
    "soak": LazyCommand(
        "streams.ops.soak.command:soak", "Steady load and faults for an hour: does anything grow?"
    ),
    "simulation": LazyCommand(
        "streams.simulation.command:simulation", "The pure core through random histories."
    ),
    "benchmark": LazyCommand(
        "benchmarks.command:benchmark", "Measure, each case beside its peers."
    ),
}


class LazyGroup(click.Group):
    """A group whose commands are loaded when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands whose modules are there, in the order of the table."""
        del ctx
        return [name for name, command in COMMANDS.items() if command.there()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; None where there is none of this name."""
        del ctx
        command = COMMANDS.get(cmd_name)
        return command.load() if command is not None and command.there() else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, loading none of them."""
        rows = [(name, COMMANDS[name].summary) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=example(
        "moment-sync demo                     see it work, nothing to set up",
        "moment-sync config                   the settings in force",
        "moment-sync topics create            once for each cluster",
        "moment-sync worker                   run",
        "moment-sync deadletters list         what needs a person",
    ),
)
@click.version_option(package_name="moment-sync", prog_name="moment-sync")
def cli() -> None:
    """Carry what changes in Moment into SpareBank 1 Regnskap and DK+.

    Settings come from MOMENT_SYNC_… variables, or a TOML file that MOMENT_SYNC_CONFIG names.
    Exit codes: 0 done, 1 it found what it looks for, 2 wrong use or settings, 3 something it
    needs cannot be reached.
    """
    # A command says itself what was wrong; a worker lets them speak again.
    for name in log_output.QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def main() -> None:
    """Run the command line; ends the process."""
    crash_output.listen()
    cli(prog_name="moment-sync")


if __name__ == "__main__":
    main()

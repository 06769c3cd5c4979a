"""`moment-sync demo`: the whole system on this machine, from Kafka to books."""

import logging
import os
import secrets
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
import msgspec
from aiokafka.errors import KafkaError
from rich.console import Console

from streams.local.kafka_node import KafkaUnavailableError
from streams.ops import console_output as out
from streams.ops.command_base import CommandEnds, Exit, example, json_option
from streams.ops.demo import keeping
from streams.ops.demo.course import Course
from streams.ops.demo.processes import DemoError, Interrupted, Machine, end_on_signals
from streams.ops.demo.report import WIDTH_WITHOUT_TERMINAL, Kept, Show

DEFAULT_EVENTS: Final = 400
KEPT_DIRECTORY: Final = "moment-sync-demo"
MARK: Final = ".moment-sync-demo"  # in a directory that a demo made, and may empty
SIGNALLED: Final = 128  # exit code of a command that a signal ended: this and its number


@click.command(
    epilog=example(
        "moment-sync demo",
        "moment-sync demo --events 2000 --json",
        "moment-sync demo --keep        and then work with what is running",
    )
)
@click.option(
    "--events",
    type=click.IntRange(min=0),
    default=DEFAULT_EVENTS,
    show_default=True,
    help="About how many; the stories alone need some ninety.",
)
@click.option("--keep", is_flag=True, help="Leave everything running, and say how to use it.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Where its files go: with --keep {KEPT_DIRECTORY}, else a temporary one.",
)
@json_option
@click.pass_context
def demo(
    ctx: click.Context, events: int, keep: bool, directory: Path | None, as_json: bool
) -> None:
    """Run the whole system on this machine: Kafka, two accounting systems, a worker, a day.

    Sends a day of events of four companies, duplicates, wrong order and wrong ones among them,
    and compares the books with what was sent. Ends with 0 only where the books are right. It
    starts Apache Kafka by itself unless MOMENT_SYNC_KAFKA names a cluster.
    """
    for name in ("aiokafka", "kafka", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the demo says itself what went wrong
    place = _Place(directory, keep=keep)
    if not keep:
        ctx.exit(_attended(place, events, as_json=as_json))

    def work(tell: keeping.Tell) -> int:
        return _kept(place, events, as_json=as_json, tell=tell)

    ctx.exit(keeping.run_apart(place.path, work))


class _Place:
    """The working directory. Ends the command (2) where it cannot be had."""

    def __init__(self, directory: Path | None, *, keep: bool) -> None:
        self.temporary = directory is None and not keep
        if self.temporary:
            self.path = Path(tempfile.mkdtemp(prefix="moment-sync-demo-"))
            return
        self.path = (directory or Path(KEPT_DIRECTORY)).absolute()
        self._take()

    def _take(self) -> None:
        keeper = keeping.keeper_of(self.path)
        if keeper is not None:
            raise CommandEnds(
                Exit.WRONG, f"a demo is running in {self.path}; stop it with: kill {keeper}"
            )
        try:
            if (self.path / MARK).exists():
                shutil.rmtree(self.path)
            self.path.mkdir(parents=True, exist_ok=True)
            if any(self.path.iterdir()):
                raise CommandEnds(Exit.WRONG, f"{self.path} holds other files: name another one")
            (self.path / MARK).touch()
        except OSError as error:
            why = error.strerror or "unknown error"
            raise CommandEnds(Exit.WRONG, f"{self.path} cannot be used: {why}") from None

    def leave(self, code: int) -> None:
        """Take a temporary directory away, unless somebody will want to read the logs in it."""
        if not self.temporary:
            return
        if code == Exit.FOUND:
            out.say(f"the logs are in {self.path}")
            return
        shutil.rmtree(self.path, ignore_errors=True)


def _attended(place: _Place, events: int, *, as_json: bool) -> int:
    """Run, and stop everything that was started, however it ends."""
    end_on_signals()
    code = int(Exit.FOUND)
    run = f"demo-{secrets.token_hex(3)}"
    machine = Machine(place.path, run, os.environ)
    course = Course(machine, _show(as_json=as_json), events=events, run=run, keep=False)
    try:
        code = _guarded(lambda: _judged(course, as_json=as_json))
    except Interrupted as interrupted:
        out.say("stopping …")
        code = SIGNALLED + interrupted.number
    finally:
        machine.stop_worker()
        _quietly(course.remove_topics)
        machine.stop()
        place.leave(code)
    return code


def _kept(place: _Place, events: int, *, as_json: bool, tell: keeping.Tell) -> int:
    """Run in a process of its own, and leave everything running until a signal comes."""
    end_on_signals()
    code = int(Exit.FOUND)
    run = f"demo-{secrets.token_hex(3)}"
    machine = Machine(place.path, run, os.environ)
    show = _show(as_json=as_json)
    course = Course(machine, show, events=events, run=run, keep=True)
    try:
        kept = Kept(str(place.path), os.getpid(), machine.settings)
        code = _guarded(lambda: _judged(course, as_json=as_json, kept=kept))
        if course.finished:  # else nothing is there that could be used
            _show(as_json=as_json, always=True).kept(kept)
            tell(code)
            keeping.wait_for_end()
    except Interrupted as interrupted:
        code = SIGNALLED + interrupted.number
    finally:
        machine.stop_worker()
        _quietly(course.remove_topics)
        machine.stop()
    return code


def _judged(course: Course, *, as_json: bool, kept: Kept | None = None) -> int:
    summary = course.run()
    if as_json:
        out.document(msgspec.structs.replace(summary, kept=kept))
    return int(Exit.FOUND if summary.violations else Exit.DONE)


def _guarded(run: Callable[[], int]) -> int:
    """Run, and put what can go wrong into words and an exit code."""
    try:
        return run()
    except CommandEnds as ends:
        ends.show()
        return ends.exit_code
    except KafkaUnavailableError as error:
        out.say(str(error))
        return int(Exit.AWAY)
    except DemoError as error:
        out.say(str(error))
        return int(Exit.FOUND)
    except (KafkaError, OSError) as error:
        out.say(f"Kafka went away: {error!r}")
        return int(Exit.AWAY)
    except Exception:
        traceback.print_exc()  # a defect: everything is stopped all the same
        return int(Exit.FOUND)


def _quietly(clean_up: Callable[[], None]) -> None:
    """Best effort, at an end that is told already."""
    try:
        clean_up()
    except Exception as error:
        out.say(f"left behind: {error!r}")


def _show(*, as_json: bool, always: bool = False) -> Show:
    """Where people read: stdout, or with --json stderr, and that only on a terminal."""
    if not as_json:
        return Show(_console(sys.stdout.isatty(), to_stderr=False))
    if always or sys.stderr.isatty():
        return Show(_console(sys.stderr.isatty(), to_stderr=True))
    return Show(None)


def _console(terminal: bool, *, to_stderr: bool) -> Console:
    return Console(
        file=sys.stderr if to_stderr else sys.stdout,
        markup=False,
        highlight=False,
        emoji=False,
        width=None if terminal else WIDTH_WITHOUT_TERMINAL,
    )

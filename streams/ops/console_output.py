"""What commands print: documents for programs, tables for people, words on stderr.

Nothing here asks anything. Text from events is made harmless for terminals first.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from streams.shown_text import as_json_shows, lines, one_line

_GAP: Final = "  "  # between two columns where there is no terminal


def document(value: Any) -> None:
    """One JSON document on one line of stdout. Takes structs, decimals (as strings) and times.

    What steers a terminal is escaped as JSON escapes it: the document is the same.
    """
    click.echo(as_json_shows(msgspec.json.encode(value).decode()))


def say(text: str) -> None:
    """Words on stderr: what is waited for, what went wrong."""
    click.echo(lines(text), err=True)


def text(line: str) -> None:
    """Words on stdout for people."""
    click.echo(lines(line))


def on_terminal() -> bool:
    """Whether a person looks at stdout."""
    return sys.stdout.isatty()


def harmless(value: object) -> str:
    """One line of printable text: what steers a terminal is shown as an escape."""
    return one_line("" if value is None else str(value))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table for people: drawn on a terminal, plain aligned columns elsewhere, never cut there."""
    cells = [[harmless(value) for value in row] for row in rows]
    if on_terminal():
        drawn = Table(*columns)
        for row in cells:
            drawn.add_row(*row)
        Console(markup=False, highlight=False, emoji=False).print(drawn)
        return
    lines = [[column.upper() for column in columns], *cells]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo(_GAP.join(padded).rstrip())


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far long work is; yields a function that is told how much more is done.

    On stderr, and only where that is a terminal.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=total)
        yield lambda more: shown.advance(task, more)

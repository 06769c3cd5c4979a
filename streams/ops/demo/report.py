"""What the demo shows: steps while it runs, then outcomes, dead letters, and the verdict."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from schemas.outcomes import Outcome, OutcomeKind
from streams.ops.demo.books_check import Letter, Told
from streams.ops.demo.companies import COMPANIES
from streams.ops.demo.day import Day

MEMORY_MAX_MB: Final = 150  # of a worker, as the project promises
WIDTH_WITHOUT_TERMINAL: Final = 100
VIOLATIONS_SHOWN: Final = 30  # the rest is counted; `--json` has them all
_OPENING: Final = "moment-sync demo: a day of events, from Kafka into the books"


class Seconds(msgspec.Struct, frozen=True, kw_only=True):
    """How long each part took. `flow`: from the first event to the last final outcome."""

    total: float
    kafka: float
    setup: float
    flow: float


class Summary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The one document of `--json`."""

    events: int
    deliveries: int
    outcomes: dict[str, int]
    deadletters: int
    calls: dict[str, int]
    seconds: Seconds
    events_per_second: float
    worker_max_rss_megabytes: float | None
    violations: list[str]


class Show:
    """Writes for people. With no console it writes nothing."""

    def __init__(self, console: Console | None) -> None:
        self._console = console

    def _print(self, *things: object, indent: int = 0) -> None:
        if self._console is not None:
            for thing in things:
                self._console.print(Padding(thing, (0, 0, 0, indent)))  # type: ignore[arg-type]

    def blank(self) -> None:
        """An empty line."""
        if self._console is not None:
            self._console.print()

    def opening(self) -> None:
        """The first line."""
        self._print(Text(_OPENING, style="bold"))
        self.blank()

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """One step of the set-up; what is told last stands beside it when it is done."""
        details = [""]
        started = time.monotonic()
        waiting = self._console is not None and self._console.is_terminal
        with contextlib.ExitStack() as stack:
            status = (
                stack.enter_context(self._console.status(f" {name} …"))
                if waiting and self._console is not None
                else None
            )

            def say(detail: str) -> None:
                details.append(detail)
                if status is not None:
                    status.update(f" {name}: {detail}")

            yield say
        took = f"{time.monotonic() - started:5.1f} s"
        self._print(
            Text.assemble(("✓ ", "green"), f"{name:<26}", (took, "dim"), f"   {details[-1]}")
        )

    @contextlib.contextmanager
    def bars(self, totals: Mapping[str, int]) -> Iterator[Callable[[Mapping[str, int]], None]]:
        """How far each integration is; on a terminal only."""
        if self._console is None or not self._console.is_terminal:
            yield lambda _: None
            return
        columns = (
            TextColumn("  {task.description:<26}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            tasks = {name: progress.add_task(name, total=total) for name, total in totals.items()}

            def update(done: Mapping[str, int]) -> None:
                for name, task in tasks.items():
                    progress.update(task, completed=done.get(name, 0))

            yield update

    # --- afterwards ---------------------------------------------------------------------------

    def day(self, day: Day) -> None:
        """What the day held."""
        emissions = day.emissions
        abouts = Counter(emission.about for emission in emissions if emission.about)
        self.blank()
        self._print(Text(f"The day: {len(emissions)} records, among them", style="bold"))
        rows = Table.grid(padding=(0, 2))
        rows.add_column(justify="right")
        for about, count in abouts.items():
            rows.add_row(str(count), about)
        self._print(rows, indent=2)

    def outcomes(self, told: Told) -> None:
        """Outcomes by kind and integration."""
        counts = Counter((o.integration, o.outcome) for o in told.outcomes.values())
        kinds = [kind for kind in OutcomeKind if any(found == kind for _, found in counts)]
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("")
        for kind in kinds:
            table.add_column(kind.value, justify="right")
        for company in COMPANIES:
            for books in company.books:
                cells = (str(counts[books.id, kind] or "·") for kind in kinds)
                table.add_row(books.id, *cells)
        self.blank()
        self._print(Text("Outcomes", style="bold"))
        self._print(table, indent=2)

    def dead_letters(self, letters: Sequence[Letter], outcomes: Sequence[Outcome]) -> None:
        """One of each kind of dead letter, in the words that its reader gets."""
        kinds: dict[str, list[Letter]] = {}
        for letter in sorted(letters, key=lambda one: "delivery-id" not in one.says):
            kinds.setdefault(letter.says.get("code", ""), []).append(letter)
        rows = Table.grid(padding=(0, 2))
        rows.add_column(no_wrap=True)
        rows.add_column()
        for code, alike in kinds.items():
            says = alike[0].says
            where = f"{says.get('entity', '')}\n{says.get('integration', '')}".strip()
            more = f" (and {len(alike) - 1} more)" if len(alike) > 1 else ""
            words = Text.assemble(
                says.get("text", ""),
                (f"\n→ {says.get('action', '')}", "green"),
                (f"\n{code}{more}", "dim"),
            )
            rows.add_row(Text(where, style="bold"), words)
        self.blank()
        self._print(Text(f"Dead letters: {len(letters)}, one of each kind", style="bold"))
        self._print(rows, indent=2)
        self._waiting(outcomes)

    def _waiting(self, outcomes: Sequence[Outcome]) -> None:
        blocked = [one for one in outcomes if one.outcome is OutcomeKind.BLOCKED]
        names = ", ".join(f"{one.entity.type}/{one.entity.number}" for one in blocked)
        if blocked:
            self.blank()
            self._print(Text("Waiting for one of these, and going by themselves after it:"))
            self._print(Text(names), indent=2)
        manual = [one for one in outcomes if one.manual is not None]
        if manual:
            self.blank()
            self._print(Text("To be done by hand, since DK+ cannot change a project:"))
            for one in manual:
                self._print(Text(one.manual.text if one.manual else ""), indent=2)

    def mending(self, letters: Sequence[Letter], *, kept: bool) -> None:
        """The command lines that mend one of them."""
        found = [one for one in letters if one.says.get("code") == "vat-code-unknown"]
        if not found:
            return
        letter = found[0].says.get("letter-id", "")
        field = found[0].says.get("field", "$.lines[0].vatCode")
        self.blank()
        self._print(Text("To mend one: look at it, correct it, send it again", style="bold"))
        self.commands(
            "moment-sync deadletters list",
            f"moment-sync deadletters show {letter}",
            f"moment-sync deadletters replay {letter} --edit '{field}=3' \\",
            "    --by you --reason 'VAT code 99 was a slip'",
        )
        if not kept:
            self._print(
                Text("(make demo ARGS=--keep leaves all this running to try it.)"), indent=2
            )

    def commands(self, *lines: str) -> None:
        """Lines to be copied: never wrapped."""
        for line in lines:
            if self._console is not None:
                self._console.print(Text(f"  {line}", style="cyan"), soft_wrap=True)

    def verdict(self, summary: Summary, booked: int) -> None:
        """Whether the books are right, and what it took."""
        seconds, calls = summary.seconds, summary.calls
        self.blank()
        self._print(
            Text(
                f"{summary.events} events in {seconds.flow:.1f} s "
                f"({summary.events_per_second:.0f} a second): {summary.deliveries} deliveries, "
                f"{calls['sparebank1']} calls to SpareBank 1 Regnskap, {calls['dkplus']} to DK+."
            )
        )
        peak = summary.worker_max_rss_megabytes
        if peak is not None:
            over = peak >= MEMORY_MAX_MB
            said = f"The worker took {peak:.0f} MB at most"
            said += f": more than the {MEMORY_MAX_MB} MB that it should." if over else "."
            self._print(Text(said, style="red" if over else ""))
        wrong = summary.violations
        if not wrong:
            good = f"The books are right: {booked} invoices are booked, each of them once."
            self._print(Text(good, style="bold green"))
            return
        self._print(Text(f"The books are wrong: {len(wrong)} violations", style="bold red"))
        for sentence in wrong[:VIOLATIONS_SHOWN]:
            self._print(Text(sentence), indent=2)
        if len(wrong) > VIOLATIONS_SHOWN:
            self._print(Text(f"and {len(wrong) - VIOLATIONS_SHOWN} more"), indent=2)

    def kept(self, settings: Mapping[str, str], directory: str, stop: str) -> None:
        """How to work with what was left running."""
        self.blank()
        self._print(Text("Left running. To work with it, in this directory or any other:", "bold"))
        self.commands(*(f"export {name}={_quoted(value)}" for name, value in settings.items()))
        self.blank()
        self._print(Text(f"Its files and logs are in {directory}"))
        self._print(Text("To stop it all:"))
        self.commands(stop)

    def note(self, words: str) -> None:
        """One more thing to know."""
        self._print(Text(words))


def _quoted(value: str) -> str:
    plain = all(char.isalnum() or char in "._-:/," for char in value)
    return value if plain else "'" + value.replace("'", "'\\''") + "'"

"""What the demo shows: steps while it runs, then outcomes, dead letters, and the verdict."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
from rich.console import Console, RenderableType
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
ORDINARY: Final = "ordinary customers, projects and invoices"
_OPENING: Final = "moment-sync demo: a day of events, from Kafka into the books"


class Seconds(msgspec.Struct, frozen=True, kw_only=True):
    """How long each part took. `flow`: from the first event to the last final outcome."""

    total: float
    kafka: float
    setup: float
    flow: float


class Kept(msgspec.Struct, frozen=True):
    """What `--keep` left running. `pid`: SIGTERM to it stops everything."""

    directory: str
    pid: int
    settings: dict[str, str]


class Summary(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
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
    kept: Kept | None = None


class Show:
    """Writes for people. With no console it writes nothing."""

    def __init__(self, console: Console | None) -> None:
        self._console = console

    def _print(self, thing: RenderableType, indent: int = 0) -> None:
        if self._console is None:
            return
        with self._console.capture() as drawn:
            self._console.print(Padding(thing, (0, 0, 0, indent)))
        lines = drawn.get().splitlines()  # rich fills lines up with blanks, which nobody wants
        self._console.file.write("".join(f"{line.rstrip()}\n" for line in lines))
        self._console.file.flush()

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
        if self._console is not None:
            line = Text.assemble(("✓ ", "green"), f"{name:<24}", (took, "dim"), f"   {details[-1]}")
            self._console.print(line, soft_wrap=True)

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
        abouts = Counter(emission.about or ORDINARY for emission in day.emissions)
        rows = Table.grid(padding=(0, 2))
        rows.add_column(justify="right")
        for about, count in sorted(abouts.items(), key=lambda item: -item[1]):
            rows.add_row(str(count), about)
        self.blank()
        self._print(Text(f"The day: {len(day.emissions)} events", style="bold"))
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

    def dead_letters(self, told: Told) -> None:
        """One of each kind of dead letter, in the words that its reader gets."""
        kinds: dict[str, list[Letter]] = {}
        for letter in sorted(told.letters, key=lambda one: "delivery-id" not in one.says):
            kinds.setdefault(letter.says.get("code", ""), []).append(letter)
        self.blank()
        count = (
            f"Dead letters: {len(told.letters)}; here one of each kind, in its reader's language"
        )
        self._print(Text(count, style="bold"))
        for code, alike in kinds.items():
            says = alike[0].says
            names = (says.get("entity"), says.get("integration"))
            where = " in ".join(name for name in names if name)
            title = f"{where}  " if where else ""
            more = f", {len(alike)} of them" if len(alike) > 1 else ""
            self._print(Text.assemble(title, (f"{code}{more}", "dim")), indent=2)
            self._print(Text(says.get("text", "")), indent=4)
            if where:  # the others are for those who write the events
                self._print(Text(f"→ {says.get('action', '')}", style="green"), indent=4)
        self._waiting(list(told.outcomes.values()))

    def _waiting(self, outcomes: Sequence[Outcome]) -> None:
        ended = {one.delivery_id for one in outcomes if one.final}
        blocked = [
            f"{one.entity.type}/{one.entity.number} in {one.integration}"
            for one in outcomes
            if one.outcome is OutcomeKind.BLOCKED and one.delivery_id not in ended
        ]
        if blocked:
            self.blank()
            self._print(Text("Waiting for what is not in the books; they go when it comes"))
            self._print(Text(", ".join(sorted(blocked))), indent=2)
        manual = [one.manual.text for one in outcomes if one.manual is not None]
        if manual:
            self.blank()
            self._print(Text("For a person to do, since DK+ cannot change a project"))
            for text in manual:
                self._print(Text(text), indent=2)

    def mending(self, letters: Sequence[Letter], program: str, *, kept: bool) -> None:
        """The command lines that mend one of them; `program` is how ours is called here."""
        found = [one for one in letters if one.says.get("code") == "vat-code-unknown"]
        if not found:
            return
        letter = found[0].says.get("letter-id", "")
        field = found[0].says.get("field", "$.lines[0].vatCode")
        self.blank()
        self._print(Text("To mend one: look at it, correct it, send it again", style="bold"))
        self.commands(
            f"{program} deadletters list",
            f"{program} deadletters show {letter}",
            f"{program} deadletters replay {letter} --edit '{field}=3' \\",
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

    def kept(self, kept: Kept) -> None:
        """How to work with what was left running."""
        self.blank()
        self._print(Text("Everything is left running. To work with it", style="bold"))
        self.commands(*(f"export {n}={_quoted(value)}" for n, value in kept.settings.items()))
        self.blank()
        self._print(Text(f"Its files and logs are in {kept.directory}. To stop it all"))
        self.commands(f"kill {kept.pid}")


def _quoted(value: str) -> str:
    plain = all(char.isalnum() or char in "._-:/," for char in value)
    return value if plain else "'" + value.replace("'", "'\\''") + "'"

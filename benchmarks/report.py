"""`python -m benchmarks.report FILE[@COMMIT]…`: results of `benchmark --json` as markdown.

With `--into PAGE` the tables take the place of what stands between the marks of that page, so
that no figure is ever typed. A case that stands in several files is taken from the last. A file's
commit is that which was measured; `--commit` says it for those that name none.
"""

from pathlib import Path
from typing import Any, Final

import click
import msgspec

from benchmarks import show
from benchmarks.figures import CaseResult

BEGIN: Final = "<!-- figures: begin -->"
END: Final = "<!-- figures: end -->"


class Results(msgspec.Struct, kw_only=True):
    """What `moment-sync benchmark --json` prints."""

    machine: dict[str, Any]
    options: dict[str, Any]
    cases: list[CaseResult]


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE[@COMMIT]...")
@click.option("--commit", default="", help="The commit that was measured, where a file names none.")
@click.option(
    "--into",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A page with marks.",
)
def report(files: tuple[str, ...], commit: str, into: Path | None) -> None:
    """Render results as markdown, on stdout or into a page."""
    text = rendered([_read(file, commit) for file in files])
    if into is None:
        click.echo(text)
        return
    into.write_text(placed(into.read_text(encoding="utf-8"), text), encoding="utf-8")


def _read(file: str, commit: str) -> tuple[Results, str]:
    """Results and their commit. Raises click.UsageError where there is no such file."""
    name, _, own = file.partition("@")
    path = Path(name)
    if not path.is_file():
        raise click.UsageError(f"there is no file {name}")
    return msgspec.json.decode(path.read_bytes(), type=Results), own or commit


def placed(page: str, text: str) -> str:
    """The page with the text between its marks. Raises click.UsageError where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise click.UsageError(f"the page has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}"


def rendered(found: list[tuple[Results, str]]) -> str:
    """Every case, in the order in which it came first, under where and when it was measured."""
    cases: dict[str, tuple[CaseResult, Results, str]] = {}
    for results, commit in found:
        for case in results.cases:
            cases[case.case] = (case, results, commit)
    parts = []
    for case, results, commit in cases.values():
        parts += [f"### {case.case}", "", case.title + ".", "", _where(results, case, commit), ""]
        if case.failed is not None:
            parts += [f"Failed: {case.failed}", ""]
            continue
        parts += [*_markdown(show.header(case), show.lines(case)), ""]
        if case.goals:
            goals = [show.goal_line(goal, case.rows) for goal in case.goals]
            parts += [*_markdown([*show.GOAL_HEADER[:-1], "verdict"], goals), ""]
        parts += [f"- {note}" for note in case.notes] + ([""] if case.notes else [])
    return "\n".join(parts)


def _where(results: Results, case: CaseResult, commit: str) -> str:
    machine, options = results.machine, results.options
    said = [
        f"{machine['at']}",
        f"{machine['processor']}, {machine['cores']} cores",
        f"Python {machine['python']}",
        f"load {machine['load'][0]:.1f}",
        f"{options['runs']} runs",
        show.setting_line(case),
        f"commit {commit}" if commit else "",
    ]
    return "; ".join(part for part in said if part) + "."


def _markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


if __name__ == "__main__":
    report()

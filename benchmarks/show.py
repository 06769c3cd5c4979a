"""Results for people: a table a case on a terminal or in a pipe, markdown for a page."""

from collections.abc import Sequence

from benchmarks.figures import CaseResult, Goal, Row, Spread, spread, written

MISSING = "-"


def columns(result: CaseResult) -> list[str]:
    """The names of all figures of a case, in the order in which they came."""
    return list(dict.fromkeys(name for row in result.rows for name in row.figures))


def header(result: CaseResult) -> list[str]:
    """The heads of a case's table."""
    return ["contender", *columns(result), "wrong", "guarantees"]


def lines(result: CaseResult) -> list[list[str]]:
    """The rows of a case's table as text; a skipped contender says why."""
    names = columns(result)
    return [_line(row, names) for row in result.rows]


def _line(row: Row, names: Sequence[str]) -> list[str]:
    if row.skipped is not None:
        reason = f"skipped: {row.skipped.splitlines()[0]}"
        return [row.contender, *(MISSING for _ in names), MISSING, reason]
    figures = (_figure(row.spread(name)) for name in names)
    return [row.contender, *figures, wrong_of(row), row.guarantees]


def _figure(found: Spread | None) -> str:
    return MISSING if found is None else str(found)


def wrong_of(row: Row) -> str:
    """What was wrong in all rounds together."""
    found = [f"{count} {name}" for name, count in row.faults.items() if count]
    return ", ".join(found) or ("nothing" if row.faults else MISSING)


def goal_line(goal: Goal, rows: Sequence[Row]) -> list[str]:
    """A goal, what was found, and whether it was reached."""
    values = goal.values(rows)
    reached = goal.reached(rows)
    found = f"{spread(values)}" if values else "not measured"
    limit = f"{'>=' if goal.at_least else '<='} {written(goal.limit)}"
    verdict = {None: MISSING, True: "reached", False: "missed"}[reached]
    return [goal.text, limit, found, verdict]


GOAL_HEADER = ["goal", "limit", "found", ""]


def setting_line(result: CaseResult) -> str:
    """What was set, on one line."""
    return ", ".join(f"{name} {value}" for name, value in result.setting.items())

"""`docs/observability.md` says what the code does."""

import json
import re

from streams.settings import load
from streams.web.health import (
    BLOCKED_S,
    OVERDUE_S,
    POLLING_S,
    PUBLISHING_S,
    WRITING_S,
    Problem,
    ProblemKind,
)
from streams.web.look import patience
from tests.observability.observability_page import PAGE, made

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_code() -> None:
    assert made(TEXT) == TEXT, "python -m tests.observability.observability_page"


def test_every_kind_of_problem_is_explained_with_its_time() -> None:
    told = dict(
        re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", TEXT.partition("## Numbers")[0], re.MULTILINE)
    )
    assert set(told) == {kind.value for kind in ProblemKind}
    assert f"{WRITING_S:.0f} s" in told["ledger-unwritable"]
    assert f"{BLOCKED_S:.0f} s" in told["event-loop-blocked"]
    assert f"{PUBLISHING_S / 60:.0f} min" in told["publishing-stalled"]
    assert POLLING_S == 60.0
    assert "a minute" in told["consumer-not-polling"]
    assert patience(load({})).stalled == 6.5 * 60
    assert "6½ min" in told["deliveries-stalled"]
    assert OVERDUE_S * 2 == 120.0
    assert "two minutes" in told["deliveries-stalled"]


def test_the_example_is_what_the_page_answers() -> None:
    found = re.search(r"<!-- test: healthz -->\n```json\n(.+?)```", TEXT, re.DOTALL)
    assert found
    problem = Problem(
        kind=ProblemKind.DELIVERIES_STALLED,
        since=1_793_610_120.0,
        text="deliveries may go and none has moved",
        about=("fjord-sb1",),
    )
    assert json.loads(found[1]) == {"status": "unhealthy", "problems": [problem.shown()]}


def test_the_variables_of_the_example_are_known() -> None:
    found = re.search(r"<!-- test: traces -->\n```sh\n(.+?)```", TEXT, re.DOTALL)
    assert found
    ours = dict(re.findall(r"(MOMENT_SYNC_\w+)=(\S+)", found[1]))
    assert load(ours).traces == "otlp"

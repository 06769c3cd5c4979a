"""Dashboard and alerts speak of metrics, labels and label values that there are."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from connectors.breaker import Phase
from connectors.port import NoAnswerKind
from schemas.failures import FailureClass
from streams.core.states import State
from streams.metrics import Kind, Label, Metric
from streams.web.health import ProblemKind

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "moment-sync.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"
SERIES = {
    f"{metric.spec.name}{suffix}": metric
    for metric in Metric
    for suffix in (("_bucket", "_sum", "_count") if metric.spec.kind is Kind.HISTOGRAM else ("",))
}
# Prometheus' own series and labels, and the words of its language that look like series.
THEIRS = {"up"}
THEIR_LABELS = {"job", "instance", "le"}
WORDS = frozenset(
    re.findall(
        r"\w+",
        "absent by bool changes count histogram_quantile ignoring increase max min offset on or "
        "and unless rate sum time topk vector label_values group_left without",
    )
)
VALUES = {
    Label.PHASE: {phase.value for phase in Phase},
    Label.KIND: {kind.value for kind in ProblemKind} | {"letter"},
    Label.STATE: {state.value for state in State},
    Label.CLASS: {one.value for one in FailureClass},
    Label.RESULT: {"sent", "logged", "failed"},
    Label.ANSWER: {"2xx", "3xx", "4xx", "429", "5xx"} | {kind.value for kind in NoAnswerKind},
}
SERIES_NAME = re.compile(r"[a-z_][a-z0-9_]*")


@cache
def rules() -> dict[str, Any]:
    text = yaml.safe_load(ALERTS.read_text())
    found = {rule["alert"]: rule for group in text["groups"] for rule in group["rules"]}
    assert len(found) == sum(len(group["rules"]) for group in text["groups"])
    return found


@cache
def panels() -> list[dict[str, Any]]:
    found = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def expressions() -> dict[str, str]:
    found = {name: rule["expr"] for name, rule in rules().items()}
    for panel in panels():
        for target in panel["targets"]:
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    for variable in json.loads(DASHBOARD.read_text())["templating"]["list"]:
        if variable["type"] == "query":
            found[f"variable {variable['name']}"] = variable["definition"]
    return found


def bare(expression: str) -> str:
    """Without label matchers, ranges, grouping and texts: names and operators are left."""
    text = re.sub(r"\{[^}]*\}", " ", expression)
    text = re.sub(r"\[[^\]]*\]", " ", text)
    text = re.sub(r"\b(by|on|without|ignoring) \([^)]*\)", " ", text)
    text = re.sub(r"label_values\(([^,]*),[^)]*\)", r"\1", text)
    return re.sub(r"\b\d[\d.]*[smhdw]?\b", " ", text)


def series_in(expression: str) -> set[str]:
    return set(SERIES_NAME.findall(bare(expression))) - WORDS


def labels_in(expression: str) -> set[str]:
    inside = [part.group(1) for part in re.finditer(r"\{([^}]*)\}", expression)]
    matched = {name for part in inside for name in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", part)}
    grouped = {
        name.strip()
        for part in re.finditer(r"\b(?:by|on) \(([^)]*)\)", expression)
        for name in part.group(1).split(",")
    }
    return matched | grouped


@pytest.mark.parametrize("where", [name for name in expressions() if "variable" not in name])
def test_every_expression_is_promql(where: str) -> None:
    # Grafana puts these in; `label_values` of a variable is Grafana's own word.
    expression = re.sub(r"\$__\w+", "5m", expressions()[where])
    promql_parser.parse(expression)


def test_an_expression_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        promql_parser.parse("sum by (job (up)")


@pytest.mark.parametrize("where", expressions())
def test_every_series_is_a_metric(where: str) -> None:
    found = series_in(expressions()[where])
    assert found
    assert found - THEIRS <= set(SERIES)


def test_the_reading_of_expressions_sees_what_is_wrong() -> None:
    """The rule above is only as good as its reading."""
    text = 'sum by (job) (rate(moment_sync_nothing{kind="x"}[5m])) > 1h and other_thing'
    assert series_in(text) == {"moment_sync_nothing", "other_thing"}
    assert labels_in(text) == {"job", "kind"}


@pytest.mark.parametrize("where", expressions())
def test_every_label_is_one_of_a_metric_that_is_named(where: str) -> None:
    expression = expressions()[where]
    metrics = [SERIES[name] for name in series_in(expression) if name in SERIES]
    known = {label.value for metric in metrics for label in metric.spec.labels}
    assert labels_in(expression) <= known | THEIR_LABELS


@pytest.mark.parametrize("where", expressions())
def test_every_value_of_a_label_is_one_that_is_told(where: str) -> None:
    for name, sign, text in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', expressions()[where]):
        if name not in {label.value for label in VALUES} or "$" in text:
            continue
        given = set(text.split("|")) if "~" in sign else {text}
        assert given <= VALUES[Label(name)], f"{name}{sign}{text}"


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {name for panel in panels() for t in panel["targets"] for name in series_in(t["expr"])}
    told = {SERIES[name] for name in shown if name in SERIES}
    assert set(Metric) - told == set()


def test_panels_do_not_lie_on_one_another() -> None:
    cells = [
        (x, y)
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    ids = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", rules())
def test_every_alert_says_how_bad_it_is_and_where_to_read_on(name: str) -> None:
    rule = rules()[name]
    assert re.fullmatch(r"MomentSync[A-Z]\w+", name)
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    assert re.fullmatch(r"docs/runbook\.md#[a-z-]+", rule["annotations"]["runbook"])


def test_every_problem_of_a_health_page_has_an_alert() -> None:
    told = " ".join(rule["expr"] for rule in rules().values())
    assert [kind for kind in ProblemKind if f'kind="{kind.value}"' not in told] == []


def test_every_alert_has_its_heading_in_the_runbook() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).strip().replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    } | set(re.findall(r'<a (?:id|name)="([a-z-]+)">', RUNBOOK.read_text()))
    anchors = {rule["annotations"]["runbook"].partition("#")[2] for rule in rules().values()}
    assert anchors - headings == set()

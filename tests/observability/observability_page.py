"""The tables of `docs/observability.md`, made from the code and from the alert rules.

`python -m tests.observability.observability_page` writes them; a test compares.
"""

from pathlib import Path
from typing import Final

import yaml

from streams.log_actions import ACTIONS, FIELDS
from streams.metrics import Metric

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "observability.md"
ALERTS: Final = ROOT / "deploy" / "prometheus" / "alerts.yml"


def metrics() -> str:
    """Every metric."""
    rows = ["| metric | kind | labels | counts | is |", "|---|---|---|---|---|"]
    for metric in Metric:
        spec = metric.spec
        labels = " ".join(f"`{label.value}`" for label in spec.labels)
        rows.append(
            f"| `{spec.name}` | {spec.kind.value} | {labels} | {spec.unit.value} | {spec.help} |"
        )
    return "\n".join(rows)


def alerts() -> str:
    """Every alert."""
    rows = ["| alert | how bad | after | says |", "|---|---|---|---|"]
    for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            where = rule["annotations"]["runbook"].removeprefix("docs/")
            says = rule["annotations"]["summary"].replace("{{ ", "").replace(" }}", "")
            words = says.replace("$labels.", "").replace("$value", "so many")
            for filtered in ("humanizeDuration", "humanizePercentage", "humanize"):
                words = words.replace(f" | {filtered}", "")
            wait = rule.get("for", "at once")
            rows.append(
                f"| [{rule['alert']}]({where}) | {rule['labels']['severity']} | {wait} | {words} |"
            )
    return "\n".join(rows)


def actions() -> str:
    """Every action of the log."""
    rows = ["| action | means |", "|---|---|"]
    rows += [f"| `{name}` | {meaning} |" for name, meaning in sorted(ACTIONS.items())]
    return "\n".join(rows)


def fields() -> str:
    """Every field beside it."""
    rows = ["| field | is |", "|---|---|"]
    rows += [f"| `{name}` | {meaning} |" for name, meaning in sorted(FIELDS.items())]
    return "\n".join(rows)


TABLES: Final = {"metrics": metrics, "alerts": alerts, "actions": actions, "fields": fields}


def made(page: str) -> str:
    """The page with its tables as they must be. Raises ValueError where a mark is missing."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: made -->\n", f"\n<!-- end of {name} -->"
        before, mark, rest = page.partition(begin)
        _, closing, after = rest.partition(end)
        if not mark or not closing:
            raise ValueError(f"the marks of {name} are missing")
        page = f"{before}{begin}{table()}{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(made(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

"""The table of settings in `docs/configuration.md`, made from the settings themselves.

`python -m tests.docs.configuration_page` writes it into the page.
"""

from pathlib import Path
from typing import Final

from streams.settings import SETTINGS, Setting

PAGE: Final = Path(__file__).parents[2] / "docs" / "configuration.md"
BEGIN: Final = "<!-- settings: made by tests/docs/configuration_page.py -->"
END: Final = "<!-- end of settings -->"

# One sentence a setting; a test fails where one is missing or one too many.
MEANING: Final[dict[str, str]] = {
    "KAFKA": "Bootstrap servers.",
    "KAFKA_SECURITY": "How brokers are spoken with; with `SSL` and `SASL_SSL` they are verified.",
    "KAFKA_SASL_MECHANISM": "How to log in, with a `SASL_…` security.",
    "KAFKA_USERNAME": "Who logs in.",
    "KAFKA_PASSWORD_FILE": "The file that holds the password.",
    "KAFKA_CA_FILE": "Certificates (PEM) that vouch for the brokers; else those of the machine.",
    "KAFKA_CERT_FILE": "Our own certificate (PEM), where brokers ask for one.",
    "KAFKA_KEY_FILE": "Its private key (PEM).",
    "KAFKA_TOKEN_FILE": "With `OAUTHBEARER`: the file that holds the token; read again when it "
    "changes, so whoever renews it in time needs no restart.",
    "KAFKA_TOKEN_URL": "Or where a token is asked for (OAuth 2 client credentials).",
    "KAFKA_CLIENT_ID": "Who asks for it.",
    "KAFKA_CLIENT_SECRET_FILE": "The file that holds that client's secret.",
    "KAFKA_SCOPE": "The scope that is asked for.",
    "LEDGER": "The ledger; a relative SQLite path is relative to the working directory.",
    "INTEGRATIONS": "The integrations file; read again on SIGHUP.",
    "GROUP": "Consumer group, and part of the source of outcomes (`/moment-sync/<group>`).",
    "TOPIC_PREFIX": "Put before each topic's name as it stands, no separator added.",
    "TOPIC_PARTITIONS": "Partitions of topics that `topics create` makes.",
    "TOPIC_REPLICATION": "Their replicas; `-1` is the broker's own default.",
    "TOPIC_RETENTION": "How long they keep events; dead letters stay three times as long.",
    "WEB": "Where `/healthz`, `/readyz`, `/metrics` and the console are served.",
    "CONSOLE": "Whether the [console](console.md) is served, and whether people may act in it.",
    "CONSOLE_USER_HEADER": "The header in which a reverse proxy names the person.",
    "CONSOLE_PEOPLE": "The file that says who may read what, who may act, and by which token.",
    "SMTP": "Where notices are handed over; without it they go to the log and the outcomes only.",
    "SMTP_PASSWORD_FILE": "The file that holds the password of the SMTP user.",
    "SMTP_FROM": "The sender of notices.",
    "NOTICE_WINDOW": "Failures of one cause within it are one mail.",
    "LOG": "The form of log lines.",
    "TRACES": "Where spans go: nowhere, to an OpenTelemetry collector (`otlp`), or to the "
    "terminal. [More](observability.md#traces).",
    "PARENT_WAIT": "How long a child waits for a parent that nobody announced before it is told "
    "as blocked; it still goes when the parent comes.",
    "RETRY_BASE": "First pause after a transient failure; pauses double, with jitter.",
    "RETRY_MAX": "Longest pause between two attempts.",
    "RETRY_FOR": "How long transient failures are tried before the delivery is dead.",
    "HOLD_PROBE": "First probe of a held integration.",
    "HOLD_PROBE_MAX": "Longest pause between two probes.",
    "BREAKER_OPEN": "How long a breaker stays open before it tries one call.",
    "SPAREBANK1_TIMEOUT": "Deadline of a call to SpareBank 1 Regnskap.",
    "DKPLUS_TIMEOUT": "Deadline of a call to DK+.",
    "SPAREBANK1_SETTLE": "How long SpareBank 1 Regnskap may still be at work on a request that "
    "we gave up on; an uncertain write is looked up after the deadline and this, never sooner.",
    "DKPLUS_SETTLE": "The same for DK+, which has been seen to book two minutes later.",
    "SPAREBANK1_BOOKINGS": "Bookings in flight for a company, over all workers.",
    "DKPLUS_BOOKINGS": "The same for DK+.",
    "IN_FLIGHT": "Deliveries in flight of one worker.",
    "SPAREBANK1_IN_FLIGHT": "The ceiling of an integration's adaptive bound, over "
    "all workers: each takes as much of it as it has of the lanes, at least one.",
    "DKPLUS_IN_FLIGHT": "The same for DK+.",
    "DRAIN": "How long SIGTERM lets calls in flight end.",
    "RETENTION": "How long settled deliveries stay in the ledger; dead ones, last states and "
    "bookings stay.",
}


def table() -> str:
    """The settings as a Markdown table."""
    rows = ["| setting | default | what it is | allowed |", "|---|---|---|---|"]
    rows += [_row(setting) for setting in SETTINGS]
    return "\n".join(rows)


def _row(setting: Setting) -> str:
    default = setting.shown_default or (f"`{setting.default}`" if setting.default else "none")
    return f"| `{setting.name}` | {default} | {MEANING[setting.name]} | {setting.allowed} |"


def with_table(page: str) -> str:
    """The page with a fresh table. Raises ValueError where its two marks are missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

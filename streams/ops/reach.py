"""What a command needs and may have to wait for: Kafka, the ledger."""

import time
from collections.abc import Callable
from typing import Final

from connectors.redaction import cleared
from streams.clock import SystemClock
from streams.kafka_client import KafkaConnection, connection_of, wait_for_kafka
from streams.ledger.schema import is_sqlite, problems
from streams.ops.command_base import WAIT_S, CommandEnds, Exit
from streams.ops.console_output import say
from streams.setting_values import without_password
from streams.settings import Settings

# Between two tries of a database that does not answer: it starts within seconds.
TRY_AGAIN_S: Final = 0.5
# A single try of it; a host that drops packets would else be waited for for minutes.
CONNECT_S: Final = 3
# What SQLAlchemy calls a database that cannot be spoken with; anything else is a bug of ours.
UNREACHABLE: Final = frozenset({"OperationalError", "InterfaceError"})


def kafka_connection(settings: Settings) -> KafkaConnection:
    """The connection that the settings name. Ends the command (2) where its files are wrong."""
    connection = connection_of(settings)
    try:
        connection.client_options()
    except (OSError, UnicodeDecodeError) as error:
        name = getattr(error, "filename", None) or "a file of MOMENT_SYNC_KAFKA_…"
        why = getattr(error, "strerror", None) or "it does not hold what it should"
        raise CommandEnds(Exit.WRONG, f"{name} cannot be used: {why}") from None
    return connection


async def kafka_within_reach(
    settings: Settings, tell: Callable[[str], None] = say, seconds: float = WAIT_S
) -> KafkaConnection:
    """The cluster, once a broker answers. Ends the command (2 or 3) where none does."""
    connection = kafka_connection(settings)
    away = await wait_for_kafka(connection, seconds, tell)
    if away is not None:
        raise CommandEnds(Exit.AWAY, away)
    return connection


def ledger_within_reach(
    url: str, tell: Callable[[str], None] = say, seconds: float = WAIT_S
) -> None:
    """Return once the ledger's database answers; makes an empty SQLite file where there is none.

    Ends the command: 2 where a SQLite file cannot be opened (waiting would not help), 3 where a
    server cannot be reached within `seconds`. Blocks.
    """
    elapsed = SystemClock().elapsed
    deadline = elapsed() + seconds
    told = False
    while (trouble := _trouble(url)) is not None:
        place = without_password(url)
        if is_sqlite(url):
            raise CommandEnds(Exit.WRONG, f"the ledger {place} cannot be opened: {trouble}")
        if elapsed() >= deadline:
            raise CommandEnds(Exit.AWAY, f"the ledger {place} cannot be reached: {trouble}")
        if not told:
            tell(f"waiting for the ledger {place} ({trouble})")
            told = True
        time.sleep(TRY_AGAIN_S)


def _trouble(url: str) -> str | None:
    bounded = url
    if not is_sqlite(url) and "connect_timeout" not in url:
        bounded = f"{url}{'&' if '?' in url else '?'}connect_timeout={CONNECT_S}"
    try:
        problems(bounded)  # whatever its version: it answered
    except Exception as error:
        if type(error).__name__ not in UNREACHABLE:
            raise
        reason = str(getattr(error, "orig", error)).strip().splitlines()
        return cleared(without_password(reason[0] if reason else type(error).__name__))
    return None

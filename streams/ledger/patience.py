"""How long PostgreSQL is waited for that has gone without a word."""

from typing import Final

from sqlalchemy.engine import URL

# Without these a connection to a host that was cut off (a fail-over, a firewall that forgets)
# is believed in for a quarter of an hour, and all writes with it. In the words of libpq, whose
# unit is the second but for the last. What the URL says itself is left as it is.
PATIENCE: Final = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


def patience(url: URL) -> dict[str, int]:
    """What is passed to libpq beside the URL."""
    return {name: value for name, value in PATIENCE.items() if name not in url.query}

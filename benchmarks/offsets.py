"""How far a ledger has come: read beside the worker, without disturbing it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

TABLE = "source_offsets"  # of moment-sync's ledger; the bare loop keeps one of the same shape


def ingested(url: str) -> int:
    """How many records are in a ledger on SQLite, by the offsets that stand in it; 0 before any."""
    path = Path(urlsplit(url).path[1:])
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            found = connection.execute(f"SELECT sum(next_offset) FROM {TABLE}")  # noqa: S608 - ours
        except sqlite3.OperationalError:
            return 0
        return int(found.fetchone()[0] or 0)

"""A worker as in `moment-sync chaos`, but with small page caches of SQLite.

They fill for as long as a ledger grows, up to 40 MiB in all, and would hide a leak of that size.
"""

from typing import Final

from streams.ledger import engine
from streams.ops.chaos import odd_worker

PAGE_CACHE_KB: Final = 500  # of each connection


def main() -> None:
    """Run `moment-sync` as it is, but for that."""
    engine.PAGE_CACHE_KB = PAGE_CACHE_KB
    odd_worker.main()


if __name__ == "__main__":
    main()

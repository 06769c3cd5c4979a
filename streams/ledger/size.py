"""How large a ledger is."""

from sqlalchemy import Connection


def bytes_in_use(connection: Connection) -> int:
    """Bytes of all tables and indexes; pages that are free for use again do not count."""
    if connection.dialect.name == "postgresql":
        query = "SELECT pg_database_size(current_database())"
        return int(connection.exec_driver_sql(query).scalar_one())
    pages, free, size = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size

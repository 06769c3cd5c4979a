"""Names that can be told from everything else, planted wherever an event can carry a text."""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select, text

from schemas.events import Address, Customer, Invoice, Project
from streams.ledger.engine import make_engine
from streams.ledger.tables import metadata
from streams.local.postgresql_node import PostgresNode
from tests.ledger.samples import customer, invoice, project

NAME = "Qvintzhalm"
STREET = "Zwyrdtunet"
EMAIL = "vurmqexi@planted.example"
PHONE = "+4799887766"
WORK = "Brumqvaxing"
ANSWER = "Ghyrtolfsen"
EDIT = "Ploqsterby"
LETTER = "Drexmundhal"
PLANTED = (NAME, STREET, EMAIL, PHONE, WORK, ANSWER, EDIT, LETTER)


def person(number: str = "100042") -> Customer:
    return msgspec.structs.replace(
        customer(number, f"{NAME} AS"),
        email=EMAIL,
        phone=PHONE,
        address=Address(line1=f"{STREET} 7", city="Oslo"),
    )


def work(number: str = "7", customer_number: str = "100042") -> Project:
    return project(number, customer_number, f"Hytte for {NAME}")


def bill(number: str = "1001", customer_number: str = "100042") -> Invoice:
    plain = invoice(number, customer_number)
    lines = tuple(msgspec.structs.replace(one, description=WORK) for one in plain.lines)
    return msgspec.structs.replace(plain, lines=lines, customer_reference=NAME)


def in_rows(url: str) -> set[str]:
    """`table.column: word` for every planted word that a query of the ledger finds."""
    engine = make_engine(url)
    found = set()
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)).mappings():
                for column, value in row.items():
                    found |= {f"{table.name}.{column}: {w}" for w in _words(value)}
    engine.dispose()
    return found


def _words(value: Any) -> Iterable[str]:
    shown = value if isinstance(value, bytes) else str(value).encode()
    return (word for word in PLANTED if word.encode() in shown)


def in_files(paths: Iterable[Path]) -> set[str]:
    """`file: word` for every planted word in the bytes of these files."""
    found = set()
    for path in paths:
        content = path.read_bytes()
        found |= {f"{path.name}: {word}" for word in PLANTED if word.encode() in content}
    return found


def files_of(url: str, node: PostgresNode | None = None) -> list[Path]:
    """The files that a ledger's rows are in: SQLite's with its log, or a database's relations."""
    if node is None:
        path = Path(url.removeprefix("sqlite:///"))
        return sorted(path.parent.glob(f"{path.name}*"))
    engine = make_engine(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CHECKPOINT"))  # what is in memory only would not be found
        query = "SELECT oid FROM pg_database WHERE datname = current_database()"
        place = connection.execute(text(query)).scalar_one()
        root = connection.execute(text("SHOW data_directory")).scalar_one()
    engine.dispose()
    directory = Path(root) / "base" / str(place)
    subprocess.run(["sync"], check=True)
    return sorted(path for path in directory.iterdir() if path.is_file())

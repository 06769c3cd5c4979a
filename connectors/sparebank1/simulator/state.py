"""The books on disk: one JSON line per changed row, appended before the answer leaves.

A simulator that is killed and started again on the same file has what it had answered for. Tokens,
used assertions, request counts, switches and faults begin anew.
"""

from pathlib import Path
from typing import Any

import msgspec

from connectors.sparebank1.simulator.answers import decode, encode
from connectors.sparebank1.simulator.api import Simulator
from connectors.sparebank1.simulator.books import Books
from connectors.sparebank1.simulator.judge import Violation


class StateFile:
    """Appends what changed in a simulator's books, and reads it back. Blocks on the disk."""

    def __init__(self, path: str, simulator: Simulator) -> None:
        """Read what the file holds into the simulator, then stand ready to append."""
        self._simulator = simulator
        file = Path(path)
        for line in file.read_bytes().splitlines() if file.exists() else ():
            _apply(simulator, line)
        self._known = file.exists() and file.stat().st_size > 0
        if self._known:
            for books in simulator.books.values():
                books.changed.clear()
                books.new_guids.clear()
        simulator.judge.fresh.clear()
        self._file = file.open("ab")
        self.append()

    def append(self) -> None:
        """Write what has changed since the last call; in the hands of the kernel on return."""
        lines: list[dict[str, Any]] = []
        for books in self._simulator.books.values():
            lines += _drain(books)
        lines += [{"violation": v} for v in self._simulator.judge.fresh]
        self._simulator.judge.fresh.clear()
        if lines:
            # one write: a kill leaves a whole request or, at worst, a torn tail that is skipped
            self._file.write(b"".join(encode(line) + b"\n" for line in lines))
            self._file.flush()

    def close(self) -> None:
        """Write what is left and let the file go."""
        self.append()
        self._file.close()


def _drain(books: Books) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for name, row_id in dict.fromkeys(books.changed):
        row = books.row(name, row_id)
        lines.append({"company": books.key, "entity": name, "id": row_id, "row": row})
    if books.new_guids:
        lines.append({"company": books.key, "guids": list(books.new_guids)})
    books.changed.clear()
    books.new_guids.clear()
    return lines


def _apply(simulator: Simulator, line: bytes) -> None:
    try:
        item = decode(line)
    except msgspec.DecodeError:
        return  # the torn tail of a killed process: nobody was answered for it
    if "violation" in item:
        simulator.judge.violations.append(msgspec.convert(item["violation"], Violation))
        return
    books = simulator.books.get(item["company"])
    if books is None:
        return  # a company that is no longer set up
    if "guids" in item:
        books.guids.update(item["guids"])
    elif item["row"] is None:
        books.table(item["entity"]).drop(item["id"])
    else:
        books.table(item["entity"]).put(item["row"])

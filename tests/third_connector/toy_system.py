"""Toy Books itself: an accounting system of a hundred lines, with a token and a bad day."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

TOKEN = "toy-token-4711"
LEDGER = "L-1"


class ToySystem:
    """A server on loopback. `break_bookings`: so many are booked, and answered with 500."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {"customers": {}, "projects": {}, "invoices": {}}
        self.break_bookings = 0
        self.posts: list[str] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Status and body of one request."""
        kind, _, number = unquote(path.strip("/")).partition("/")
        with self._lock:
            if kind == "me":
                return 200, {"ledger": LEDGER}
            if method == "GET":
                found = self.records.get(kind, {}).get(number)
                return (200, found) if found else (404, {})
            missing = next(
                (
                    parent
                    for parent in ("customer", "project")
                    if parent in body and body[parent] not in self.records[f"{parent}s"]
                ),
                None,
            )
            if missing is not None:
                return 422, {"missing": missing}
            if method == "PUT":
                self.records[kind][number] = body
                return 200, body
            return self._book(body)

    def _book(self, body: dict[str, Any]) -> tuple[int, Any]:
        number = body["number"]
        self.posts.append(number)
        if number in self.records["invoices"]:
            return 409, {"error": "booked before"}
        voucher = str(len(self.records["invoices"]) + 1)
        self.records["invoices"][number] = {**body, "id": f"i-{voucher}", "voucher": voucher}
        if self.break_bookings:
            self.break_bookings -= 1
            return 500, {"error": "booked, and then fell over"}
        return 201, self.records["invoices"][number]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        system = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    status, told = 401, {"error": "who are you?"}
                else:
                    status, told = system.answer(self.command, urlsplit(self.path).path, body)
                content = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = _do  # noqa: N815 - the names of the base class

            def log_message(self, *_: object) -> None:
                """Nothing."""

        return Handler

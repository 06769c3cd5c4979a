"""What an event or an accounting system names steers no terminal, header, log line or request."""

import io
import json
import logging
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from connectors.port import Request
from connectors.runner import encoded_target
from schemas.deadletters import Letter, encode_letter, read_letter
from schemas.failures import FailureClass, FailureCode
from schemas.wire import Record
from streams import log_output
from streams.ledger.engine import make_engine
from streams.ops import console_output as out
from streams.shown_text import as_json_shows, lines, one_line

ESCAPES = (
    "\x1b[2J\x1b]0;title\x07",  # clears the screen, names the window
    "\x9b31m",  # the same in one byte: U+009B
    "\x9d8;;http://evil.example\x9c",
    "a\r\nBcc: all@evil.example\r\n\r\n",
    "a\rb\x08\x08\x00",
    "\u202egro.elpmaxe\u202c",  # from right to left
    "\u2066\u2069\u200b\ufeff",
    '"},{"level":"error","message":"forged',
    "=cmd|' /C calc'!A0",
    "</td><script>alert(1)</script>",
    "\u2028\u2029\x85",  # ends a line for some
    "\ud800",
    "\U000e0001",
)
anything = st.one_of(
    st.sampled_from(ESCAPES),
    st.text(st.characters(codec=None), max_size=60),
    st.text(st.characters(categories=("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn")), max_size=10),
)
STEERING = {"Cc", "Cf", "Zl", "Zp", "Cs"}


def steers(text: str) -> list[str]:
    return [char for char in text if unicodedata.category(char) in STEERING]


@given(anything)
def test_shown_text_steers_nothing(text: str) -> None:
    assert steers(one_line(text)) == []
    assert one_line(text).isprintable()
    assert steers(lines(text).replace("\n", "")) == []
    assert lines(text).count("\n") == text.count("\n")


@given(anything)
def test_a_json_document_on_a_terminal_says_the_same_and_steers_nothing(text: str) -> None:
    shown = as_json_shows(json.dumps({"name": text}, ensure_ascii=False))
    assert steers(shown) == []
    assert json.loads(shown) == {"name": text}


@given(anything)
@example("\x9b31m\u202e")
def test_what_commands_print_steers_nothing(text: str) -> None:
    clean = text.encode("utf-8", "replace").decode()
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", printed)
        patch.setattr("sys.stderr", printed)
        out.text(clean)
        out.say(clean)
        out.document({"name": clean})
        out.table(("name",), [[clean]])
    assert steers(printed.getvalue().replace("\n", "")) == []


@pytest.fixture(params=["text", "json"])
def logged(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What goes to the log in either form."""
    root = logging.getLogger()
    kept = (list(root.handlers), root.level)
    stream = io.StringIO()
    log_output.set_up(request.param, stream=stream)
    yield stream
    root.handlers[:], root.level = kept[0], kept[1]
    root.setLevel(kept[1])
    logging.captureWarnings(False)


@pytest.mark.postgresql
def test_a_row_that_the_database_refuses_is_not_quoted(
    logged: io.StringIO, postgresql_url: str
) -> None:
    """PostgreSQL tells all of it, and a row may hold a whole event."""
    log = logging.getLogger("streams.test")
    name = "Qvintzhalm\n\nGhyrtolfsen"
    engine = make_engine(postgresql_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TEMP TABLE planted (a text, b int NOT NULL)")
        with pytest.raises(IntegrityError) as refused:
            connection.exec_driver_sql("INSERT INTO planted VALUES (%s, NULL)", (name,))
    engine.dispose()
    assert "Qvintzhalm" in str(refused.value.orig), "else there is nothing to leave out"
    log.warning("refused: %s", refused.value.orig, extra={"action": "test"})
    log.warning("refused", exc_info=refused.value, extra={"action": "test"})
    told = logged.getvalue()
    assert "Qvintzhalm" not in told
    assert "Ghyrtolfsen" not in told
    assert told.count("DETAIL:  (left out") == 3, "an exception tells its cause's text once more"
    assert "null value in column" in told
    assert "IntegrityError" in told


@pytest.mark.parametrize("text", ESCAPES)
def test_a_log_line_stays_one_line_and_steers_nothing(logged: io.StringIO, text: str) -> None:
    log = logging.getLogger("streams.test")
    log.warning("%s", text, extra={"action": "test", "customer": text})
    line = logged.getvalue()
    assert line.count("\n") == 1
    assert steers(line.rstrip("\n")) == []
    log.warning("failed", exc_info=ValueError(text), extra={"action": "test"})
    assert steers(logged.getvalue().replace("\n", "")) == []
    if line.startswith("{"):
        assert all(json.loads(one)["action"] == "test" for one in logged.getvalue().splitlines())


CAME = Record(
    topic="moment.invoices", partition=0, offset=1, timestamp_ms=1, key=b"\x1b", value=b"\x9b",
    headers=(("x\x1b", b"\r\n"),),
)  # fmt: skip


@given(anything)
def test_our_headers_of_a_dead_letter_steer_nothing_and_the_record_is_as_it_came(
    text: str,
) -> None:
    letter = Letter(
        letter_id="d-1",
        code=FailureCode.REFUSED_BY_SYSTEM,
        klass=FailureClass.DATA,
        text=text,
        action=text,
        response=f"400 Bad Request\n{text}",
        company="c-1",
        entity="invoice/1001",
        attempts=1,
        version="1",
        first_failed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    sent = encode_letter(letter, CAME)
    assert (sent.key, sent.value, sent.headers[:1]) == (CAME.key, CAME.value, CAME.headers)
    for name, value in read_letter(sent.headers).items():
        assert steers(value.replace("\n", "")) == [], name
        assert "\n" not in value or name in {"text", "action", "response"}


@given(anything, anything)
def test_a_query_is_one_query(name: str, value: str) -> None:
    """Names of customers stand in queries of both accounting systems."""
    pair = tuple(one.encode("utf-8", "replace").decode() for one in (name, value))
    target = encoded_target(Request(method="GET", path="/api/biz/x", query=((pair[0], pair[1]),)))
    assert target.isascii()
    assert not set(target) & set(' \r\n\t#"<>\\^`{|}\x00')
    assert target.count("?") == 1
    assert target.count("&") == 0


@given(anything)
def test_a_path_with_anything_else_in_it_is_refused(text: str) -> None:
    path = f"/api/{text}"
    plain = path.isascii() and not set(path) & set(' \r\n\t#?"<>\\^`{|}%\x00\x1b\x07\x08\x7f')
    if not plain or "/../" in f"{path}/":
        with pytest.raises(ValueError, match="percent-encoded"):
            encoded_target(msgspec.structs.replace(Request(method="GET", path="/"), path=path))

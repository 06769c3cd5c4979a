import io
import json
import logging
import sys
from collections.abc import Iterator
from decimal import Decimal

import pytest

from streams import log_output
from streams.ops import console_output as out

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """`set_up` takes the whole process's logging; the tests' own comes back afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in log_output.QUIET}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def logged(form: str | None, *, name: str = "t", level: int = logging.INFO, **given: object) -> str:
    stream = io.StringIO()
    log_output.set_up(form, stream=stream)
    message = str(given.pop("message", "hello"))
    logging.getLogger(name).log(level, "%s", message, extra=given)
    return stream.getvalue()


def test_a_json_line_has_all_that_machines_look_for() -> None:
    line = json.loads(logged("json", action="did", company="c-1", tries=3))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "t",
        "message": "hello",
        "action": "did",
        "company": "c-1",
        "tries": 3,
    }


def test_a_text_line_says_the_same() -> None:
    line = logged("text", action="did", company="c-1")
    assert "Z INFO    t: hello  action=did company=c-1\n" in line


def test_without_a_terminal_lines_are_json() -> None:
    assert json.loads(logged(None))["action"] == log_output.NO_ACTION


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_gets_into_a_line(form: str) -> None:
    line = logged(
        form, message=f"Authorization: Bearer {JWT}", url="postgresql://u:hunter2@h/d", token=JWT
    )
    assert JWT not in line
    assert "hunter2" not in line


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_gets_into_a_traceback(form: str) -> None:
    stream = io.StringIO()
    log_output.set_up(form, stream=stream)
    error = ValueError(f"Bearer {JWT}")
    logging.getLogger("t").warning("failed", exc_info=error)
    assert "ValueError" in stream.getvalue()
    assert JWT not in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "text"])
def test_what_an_event_holds_writes_no_line_of_its_own(form: str) -> None:
    assert logged(form, message="a\nb\x1b[2J", name_="x\ry").count("\n") == 1


def test_libraries_speak_only_of_trouble() -> None:
    for name in ("faust.x", "mode.y", "aiokafka.z"):
        assert logged("json", name=name) == ""
        assert logged("json", name=name, level=logging.WARNING) != ""


def test_faust_is_quiet_under_our_names_too() -> None:
    """Its services log under the module of the class that was made of theirs."""
    stream = io.StringIO()
    log_output.set_up("json", stream=stream)
    for level in (logging.INFO, logging.WARNING):
        record = logging.LogRecord(
            "streams.faust_app", level, "/x/site-packages/mode/services.py", 1, "m", (), None
        )
        logging.getLogger("streams.faust_app").handle(record)
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == ["warning"]


def test_a_line_with_wrong_arguments_is_still_written() -> None:
    stream = io.StringIO()
    log_output.set_up("json", stream=stream)
    logging.getLogger("t").info("%d", "x")
    assert "%d" in json.loads(stream.getvalue())["message"]


def test_a_document_is_one_line_with_exact_decimals(capsys: pytest.CaptureFixture[str]) -> None:
    out.document({"amount": Decimal("10.50"), "name": "Vík\n"})
    shown = capsys.readouterr().out
    assert shown == '{"amount":"10.50","name":"Vík\\n"}\n'


def test_a_table_in_a_pipe_is_plain_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    out.table(("name", "text"), [("a", "x" * 300), ("long one", "[bold]\x1b[2J")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "NAME      TEXT"
    assert lines[1] == "a         " + "x" * 300
    assert lines[2] == r"long one  [bold]\x1b[2J"


def test_progress_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with out.progress("work", 2) as advance:
        advance(2)
    assert capsys.readouterr() == ("", "")


def test_a_table_on_a_terminal_takes_text_as_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    out.table(("name",), [("[bold]x",)])
    assert "[bold]x" in capsys.readouterr().out

"""What the documentation says is so: examples run, commands exist, links lead somewhere."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any, Self

import aiokafka
import click
import pytest

from schemas.codec import Event, decode, decode_command
from schemas.commands import Command
from schemas.outcomes import FINAL, decode_outcome
from schemas.wire import Record
from streams.core.states import diagram
from streams.integrations_file import read as read_integrations
from streams.ops import cli
from streams.settings import SETTINGS
from tests.docs import configuration_page
from tests.docs.pages import (
    NAMES,
    ROOT,
    anchors,
    block,
    blocks,
    command_lines,
    kcat_record,
    links,
    page,
)

SITUATIONS_LEAST = 25


def record_of(topic: str, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> Record:
    return Record(
        topic=topic,
        partition=0,
        offset=0,
        timestamp_ms=0,
        key=key,
        value=value,
        headers=tuple(headers),
    )


# --- links -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    wrong = []
    for target in links(name):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        found = there.exists()
        if found and anchor:
            found = anchor in anchors(str(there.relative_to(ROOT)))
        if not found:
            wrong.append(target)
    assert wrong == []


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {target.partition("#")[0] for target in links("README.md")}
    assert {name for name in NAMES if name != "README.md"} <= linked


@pytest.mark.parametrize("name", NAMES)
def test_every_file_named_in_code_type_exists(name: str) -> None:
    named = re.findall(
        r"`((?:schemas|connectors|streams|tests|docs|compose)/[\w./-]*)`", page(name)
    )
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_no_folder_of_a_private_machine_is_named() -> None:
    private = "home|root|work|tmp|Users"
    pattern = re.compile(rf"(?<![\w.])/(?:{private})/")
    assert [name for name in NAMES if pattern.search(page(name))] == []


def test_guarantees_name_tests_that_exist() -> None:
    text = page("docs/guarantees.md")
    named = re.findall(r"`(tests/[\w./]+\.py)::(\w+)`", text)
    missing = [f"{path}::{name}" for path, name in named if name not in _tests_in(path)]
    assert missing == []
    rows = [line for line in text.splitlines() if re.match(r"\| (?!situation)[^-]", line)]
    assert len(rows) >= SITUATIONS_LEAST
    assert [row for row in rows if "::test_" not in row] == [], "each says what shows it"


def _tests_in(path: str) -> set[str]:
    file = ROOT / path
    if not file.is_file():
        return set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


# --- pages made from code --------------------------------------------------------------------


def test_the_state_diagram_is_that_of_the_table() -> None:
    drawn = [one.text for one in blocks("docs/architecture.md") if one.text.startswith("state")]
    assert drawn == [diagram()]


def test_the_settings_page_is_that_of_the_settings() -> None:
    text = page("docs/configuration.md")
    assert text == configuration_page.with_table(text), (
        "run: python -m tests.docs.configuration_page"
    )


def test_every_setting_has_a_sentence_and_no_other_has() -> None:
    assert sorted(configuration_page.MEANING) == sorted(setting.name for setting in SETTINGS)


def test_every_section_of_a_contract_that_code_names_is_there() -> None:
    """Comments name sections like "contract dkplus A4.1": who reads them must find them."""
    text = page("docs/accounting-systems.md")
    there = set(re.findall(r"(?m)^### (A?\d+) |^\*\*(A?\d+\.\d+)\*\*", text))
    sections = {one or other for one, other in there}
    named = set()
    for folder in ("schemas", "connectors", "streams"):
        for path in (ROOT / folder).rglob("*.py"):
            code = path.read_text(encoding="utf-8")
            named |= set(
                re.findall(
                    r"contract (?:sparebank1-regnskap |dkplus )(?:section )?(A?\d+(?:\.\d+)?)",
                    code,
                    re.IGNORECASE,
                )
            )
    assert named
    assert named - sections == set()


# --- examples --------------------------------------------------------------------------------


class RecordingProducer:
    """Stands where the README's producer does; takes what the real one takes and keeps it."""

    sent: list[dict[str, Any]] = []  # noqa: RUF012 - emptied by each test
    started = stopped = 0

    def __new__(cls, **options: Any) -> Self:
        inspect.signature(aiokafka.AIOKafkaProducer.__init__).bind(None, **options)
        assert options["acks"] == "all"
        return super().__new__(cls)

    def __init__(self, **_options: Any) -> None:
        pass

    async def start(self) -> None:
        type(self).started += 1

    async def stop(self) -> None:
        type(self).stopped += 1

    async def send_and_wait(self, **record: Any) -> None:
        inspect.signature(aiokafka.AIOKafkaProducer.send_and_wait).bind(None, **record)
        self.sent.append(record)


def test_the_producer_of_the_readme_sends_events_that_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The block is run as a program, from its first line to its last; only Kafka is not there."""
    with monkeypatch.context() as patched:
        patched.setattr(RecordingProducer, "sent", [])
        patched.setattr(aiokafka, "AIOKafkaProducer", RecordingProducer)
        scope: dict[str, Any] = {"__name__": "__main__"}
        code = compile(block("README.md", "producer"), "README.md", "exec")
        exec(code, scope)  # noqa: S102 - our own README
        (sent,) = RecordingProducer.sent
    assert RecordingProducer.started == RecordingProducer.stopped == 1
    event = decode(record_of(**sent))
    assert isinstance(event, Event), event
    assert sent["topic"] == "moment.customers"
    assert sent["key"] == event.key
    assert (event.id, event.source, event.sequence) == ("crm-4711", "/moment/crm", 17)
    invoice = scope["record"](
        "crm-4712",
        "invoice.finalized",
        1,
        {
            "company": "c-1001",
            "number": "1001",
            "kind": "invoice",
            "customerNumber": "100042",
            "invoiceDate": "2026-11-02",
            "currencyCode": "NOK",
            "lines": [
                {
                    "productType": "hours",
                    "quantity": "2",
                    "unitPrice": "500",
                    "totalExclVat": "1000",
                    "account": {"number": "3000"},
                }
            ],
        },
    )
    booked = decode(record_of(**invoice))
    assert isinstance(booked, Event), booked
    assert (invoice["topic"], invoice["key"]) == ("moment.invoices", b"c-1001/100042")
    assert booked.key == invoice["key"]


def by_kcat(text: str) -> Record:
    """The record that a `kcat -P` of the documentation makes."""
    value, words = kcat_record(text)
    assert words[0] == "-P"
    options = list(zip(words[1::2], words[2::2], strict=True))
    named = dict(options)
    assert named["-X"] == "topic.partitioner=murmur2_random"
    headers = [
        (name, text.encode())
        for flag, header in options
        if flag == "-H"
        for name, _, text in [header.partition("=")]
    ]
    return record_of(named["-t"], named["-k"].encode(), value.encode(), headers)


def test_the_kcat_of_the_readme_sends_an_event_that_is_read() -> None:
    record = by_kcat(block("README.md", "kcat"))
    event = decode(record)
    assert isinstance(event, Event), event
    assert record.key == event.key
    assert record.topic == "moment.customers"


def test_the_command_sent_by_kcat_is_read() -> None:
    record = by_kcat(block("docs/operating.md", "command"))
    assert record.topic == "moment-sync.commands"
    assert isinstance(decode_command(record), Command)


def test_the_outcome_shown_is_one() -> None:
    outcome = decode_outcome(block("docs/operating.md", "outcome").encode())
    assert outcome.final == (outcome.outcome in FINAL)


def test_the_integrations_of_the_readme_are_taken(tmp_path: Path) -> None:
    text = block("README.md", "integrations")
    (tmp_path / "sb1.pem").write_text("a key")
    (tmp_path / "vik").write_text("a token")
    file = tmp_path / "integrations.toml"
    file.write_text(text.replace("/run/secrets", str(tmp_path)), encoding="utf-8")
    found = read_integrations(str(file), {})
    assert [one.id for one in found.integrations] == ["fjord-sb1", "vik-dk"]


# --- commands --------------------------------------------------------------------------------


def commands() -> list[list[str]]:
    return [words for name in NAMES for words in command_lines(name)]


def test_the_documentation_names_commands() -> None:
    assert len(commands()) > 20


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_shown_is_one_and_takes_what_is_shown(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsed as it stands, down to the last option; nothing of it is run."""
    name, *arguments = words
    if name == "--help":
        return
    assert name in cli.COMMANDS, f"there is no command {name}"
    command = cli.COMMANDS[name]
    if not command.there():
        pytest.skip(f"the module of {name} is not there yet")
    monkeypatch.chdir(tmp_path)
    parse(command.load(), name, arguments, None)


def parse(
    command: click.Command, name: str, arguments: list[str], parent: click.Context | None
) -> None:
    if isinstance(command, click.Group):
        below = command.get_command(click.Context(command), arguments[0])
        assert below is not None, f"{name} has no command {arguments[0]}"
        parse(below, arguments[0], arguments[1:], click.Context(command, parent, name))
        return
    for word in arguments:  # files that are named must be there to be taken
        if re.fullmatch(r"[\w-]+\.(json|toml)", word):
            Path(word).write_text("", encoding="utf-8")
    arguments = [str(ROOT / "compose" / Path(a).name) if "/etc/" in a else a for a in arguments]
    try:
        command.make_context(name, list(arguments), parent=parent).close()
    except click.UsageError as error:
        pytest.fail(f"moment-sync {name} {' '.join(arguments)}: {error.format_message()}")


@pytest.mark.parametrize("name", NAMES)
def test_every_target_of_make_is_one(name: str) -> None:
    makefile = page("Makefile")
    shown = [
        match
        for one in blocks(name)
        if one.language == "sh"
        for match in re.findall(r"(?m)^make (\w+)", one.text)
    ]
    assert [target for target in shown if f"\n{target}:" not in makefile] == []


# --- style -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in NAMES if name != "docs/failures.md"])
def test_pages_use_no_pictographs(name: str) -> None:
    assert re.findall(r"[\u2600-\u27bf\U0001f000-\U0001faff]", page(name)) == []

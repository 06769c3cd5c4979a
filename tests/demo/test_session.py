"""The operator's way, on a real Kafka: what docs/mending-session.md shows."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.kafka_client import KafkaConnection
from tests.demo.session import FIRST, MANY, VAT_CODE, World, world

pytestmark = pytest.mark.kafka

WHICH = ("--code", "vat-code-unknown", "--text", f"VAT code {VAT_CODE}")
WHO = ("--by", "kari", "--reason", "VAT code 98 set up")


@pytest.fixture
def demo(tmp_path: Path, kafka: KafkaConnection) -> Iterator[World]:
    environ = {n: v for n, v in os.environ.items() if not n.startswith("MOMENT_SYNC_")}
    with world(tmp_path, {**environ, "MOMENT_SYNC_KAFKA": kafka.bootstrap}) as found:
        yield found


def test_from_the_histogram_to_the_books_and_the_word_that_it_is_solved(demo: World) -> None:
    assert demo.run("emit", demo.write_invoices()).code == 0
    demo.wait(demo.all_dead, "all of them are dead")
    groups = json.loads(demo.run("deadletters", "histogram", "--json").out)["groups"]
    (ours,) = (g for g in groups if g["code"] == "vat-code-unknown")
    assert (ours["integration"], ours["count"]) == ("nordlys-sb1", MANY + 1)
    demo.mail(f"VAT code {VAT_CODE}", f"{MANY} invoices")

    vain = demo.run("deadletters", "replay", *WHICH, *WHO, "--canary", "--json")
    assert vain.code == 1, vain.err
    found = json.loads(vain.out)
    assert (len(found["replayed"]), len(found["notSent"])) == (1, MANY - 1)
    assert found["canary"][0]["code"] == "vat-code-unknown"

    demo.mend_books()
    dry = json.loads(demo.run("deadletters", "replay", *WHICH, *WHO, "--dry-run", "--json").out)
    assert (len(dry["replayed"]), dry["refused"]) == (MANY, [])
    done = demo.run("deadletters", "replay", *WHICH, *WHO, "--canary", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert len(found["replayed"]) == MANY
    assert found["canary"][0]["state"] == "applied"

    def booked() -> bool | None:
        story = json.loads(
            demo.run("show", "c-1002", "invoice", str(FIRST + MANY - 1), "--json").out
        )
        outcomes = [line for line in story["story"] if line["what"] == "outcome"]
        last = outcomes[-1]
        return True if (last["outcome"], "replayOf" in last) == ("applied", True) else None

    demo.wait(booked, "the last of them is booked")
    demo.mail("Solved", f"VAT code {VAT_CODE}")
    assert json.loads(demo.run("deadletters", "list", *WHICH, "--json").out) == {"deadletters": []}
    checked = demo.run("verify", "--integration", "nordlys-sb1", "--rate", "100", "--json")
    assert (checked.code, json.loads(checked.out)) == (0, {"findings": []})

"""Writes docs/mending-session.md: an operator's session on the demo, as it is said and answered.

`python -m tests.demo.record_session` starts everything that it needs, and ends it. Apart from
numbers that the books give, times and the order of rows, it writes the same each time.
"""

import json
import shlex
import tempfile
from pathlib import Path

from tests.demo.session import FIRST, MANY, VAT_CODE, World, world
from tests.notices.post_office import text_of

PAGE = Path(__file__).parents[2] / "docs" / "mending-session.md"
WHICH = ("--code", "vat-code-unknown", "--text", f"VAT code {VAT_CODE}")
WHO = ("--by", "kari")
WHY = ("--reason", f"VAT code {VAT_CODE} set up")
LONGEST_LINE = 220  # of an answer: what is longer is cut, as a narrow terminal does

INTRODUCTION = f"""# A mending session

Six invoices of one company carry VAT code {VAT_CODE}, which its books do not know. This is what an
operator sees and does, from the first look to the word that it is solved.

Recorded on the demo's world: a real Kafka, a worker, a mail server, and simulated accounting
systems. `python -m tests.demo.record_session` records it again; `tests/demo/test_session.py` does
the same and checks it. Long lines are cut.
"""


class Page:
    """The transcript as it grows."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._parts = [INTRODUCTION]

    def tell(self, title: str, text: str) -> None:
        """Say what comes next."""
        self._parts.append(f"## {title}\n\n{text}\n")

    def run(self, *words: str, code: int = 0) -> None:
        """Run a command and show it with its answer."""
        done = self._world.run(*words)
        assert done.code == code, (words, done)
        shown = [f"$ moment-sync {shlex.join(words)}"]
        shown += [_cut(line) for line in (done.err + done.out).splitlines()]
        if done.code:
            shown += ["$ echo $?", str(done.code)]
        self._parts.append("```console\n" + "\n".join(shown) + "\n```\n")

    def mail(self, *parts: str) -> None:
        """Wait for a mail and show it."""
        mail = self._world.mail(*parts)
        lines = [f"To: {mail['To']}", f"Subject: {mail['Subject']}", "", text_of(mail).rstrip()]
        self._parts.append("```text\n" + "\n".join(lines) + "\n```\n")

    def whole(self) -> str:
        """The page."""
        return "\n".join(self._parts)


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


def record(found: World) -> str:
    """Run the session; the page that it makes."""
    assert found.run("emit", found.write_invoices()).code == 0
    found.wait(found.all_dead, "all of them are dead")
    page = Page(found)
    page.tell("What is wrong", "A mail has come to whoever keeps the books of this company.")
    page.mail(f"VAT code {VAT_CODE}", f"{MANY} invoices")
    page.tell("The operator looks", "What fails most, and which are these?")
    page.run("deadletters", "histogram", "--class", "set-up")
    page.run("deadletters", "list", *WHICH)
    page.tell(
        "Sent again too early",
        "Nothing was mended yet. A canary goes alone, and the others stay where they are.",
    )
    page.run("deadletters", "replay", *WHICH, *WHO, "--reason", "try again", "--canary", code=1)
    found.mend_books()
    page.tell(
        "Mended",
        f"The bookkeeper sets VAT code {VAT_CODE} up in SpareBank 1 Regnskap (here: in the "
        "simulator). What would go now?",
    )
    page.run("deadletters", "replay", *WHICH, *WHO, *WHY, "--dry-run")
    page.tell("A canary, and the others", "The oldest goes first. It is booked, so the others go.")
    page.run("deadletters", "replay", *WHICH, *WHO, *WHY, "--canary")
    page.tell("What became of them", "The story of one of them, and what is still dead of it.")
    found.mail("Solved", f"VAT code {VAT_CODE}")
    page.run("show", "c-1002", "invoice", str(FIRST))
    page.run("deadletters", "list", *WHICH)
    page.tell("Sent once more, by mistake", "What is booked is refused with its number.")
    story = found.run("show", "c-1002", "invoice", str(FIRST), "--json").out
    page.run("deadletters", "replay", delivery_in(story), *WHO, code=1)
    page.tell("The word that it is solved", "The same person hears that nothing is left of it.")
    page.mail("Solved", f"VAT code {VAT_CODE}")
    page.tell("Are the books right?", "The ledger against the books, page by page.")
    page.run("verify", "--integration", "nordlys-sb1", "--rate", "50")
    return page.whole()


def delivery_in(story: str) -> str:
    """The delivery of the only event of a story."""
    lines = json.loads(story)["story"]
    return str(next(line["deliveryId"] for line in lines if line["what"] == "delivery"))


def main() -> None:
    """Record it."""
    with tempfile.TemporaryDirectory() as directory, world(Path(directory)) as found:
        PAGE.write_text(record(found), encoding="utf-8")


if __name__ == "__main__":
    main()

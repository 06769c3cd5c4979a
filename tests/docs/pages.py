"""The pages of the documentation, taken apart: links, headings, fenced blocks, commands."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).parents[2]
NAMES: Final = sorted(
    ["README.md", "CHANGELOG.md", *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]
)

_FENCE: Final = re.compile(r"(?ms)^(?:<!-- test: (\w+) -->\n)?```(\w*)\n(.*?)^```$")
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A fenced block. `name` is what a test finds it by; empty where it has none."""

    page: str
    name: str
    language: str
    text: str


def page(name: str) -> str:
    """The text of a page, by its path from the root."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [
        Block(page=name, name=found[1] or "", language=found[2], text=found[3])
        for found in _FENCE.finditer(page(name))
    ]


def block(name: str, test: str) -> str:
    """The one block of a page that is marked for this test."""
    (found,) = [one.text for one in blocks(name) if one.name == test]
    return found


def links(name: str) -> list[str]:
    """The targets of a page's links, those in code left out."""
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page(name))))


def anchors(name: str) -> set[str]:
    """The anchors that a page's headings have where it is shown."""
    headings = re.findall(r"(?m)^#+ (.+)$", _FENCE.sub("", page(name)))
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-").strip() for heading in headings
    }


def command_lines(name: str) -> Iterator[list[str]]:
    """Every `moment-sync …` in a page's shell blocks, cut into words, without its variables."""
    for one in blocks(name):
        if one.language != "sh":
            continue
        for line in one.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if "moment-sync" in words:
                yield words[words.index("moment-sync") + 1 :]


def kcat_record(text: str) -> tuple[str, list[str]]:
    """Of `echo '…' | kcat …`: what is piped, and kcat's arguments."""
    words = shlex.split(text.replace("\\\n", " "))
    assert words[0] == "echo"
    assert words[2:4] == ["|", "kcat"]
    return words[1], words[4:]

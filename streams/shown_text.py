"""Text from outside, made fit to be shown: nothing in it steers a terminal or starts a line. Pure.

What has no picture is shown as an escape: controls, also those of the second set (U+0080 to
U+009F, which terminals obey too), and what turns the direction of a line.
"""


def one_line(text: str) -> str:
    """The text as one line."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def lines(text: str) -> str:
    """The text with the lines that it has."""
    return text if text.isprintable() else "\n".join(map(one_line, text.split("\n")))


def as_json_shows(document: str) -> str:
    """A JSON document on one line, in which what has no picture is escaped; it says the same."""
    if document.isprintable():
        return document
    return "".join(char if char.isprintable() else _escaped(char) for char in document)


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))

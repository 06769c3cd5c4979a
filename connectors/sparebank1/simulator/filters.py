"""The platform's query language (contract sparebank1-regnskap 6.1): read, prune, match. Pure.

The trap is built in: what is unknown is dropped, not refused. Comparison with null follows SQL,
so a row whose field is null satisfies neither `eq 1` nor `ne 1`.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from fnmatch import fnmatchcase

import msgspec

Literal = str | Decimal | bool | None
Value = object

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)(?![\w.-])"
    r"|(?P<word>[A-Za-z_][\w.]*)|(?P<mark>[(),]))"
)
_OPERATORS = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "like", "notlike"})
_FUNCTIONS = frozenset({"contains", "startswith", "endswith"})
_WORDS: dict[str, Literal] = {"null": None, "true": True, "false": False}
_NESTING_MAX = 50  # deeper filters are nobody's; the reader is recursive
_TEXT_KINDS = frozenset({"text", "date", "time"})


class Compare(msgspec.Struct, frozen=True):
    """`field operator literal`, or one of the text functions."""

    path: tuple[str, ...]
    operator: str
    value: Literal


class Junction(msgspec.Struct, frozen=True):
    """`and` or `or` of several."""

    operator: str
    parts: tuple["Node", ...]


class Negation(msgspec.Struct, frozen=True):
    """`not`."""

    part: "Node"


Node = Compare | Junction | Negation


class _Unreadable(Exception):  # noqa: N818 - a signal within this file, no error of anybody's
    pass


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise _Unreadable
            self.tokens.append((found.lastgroup, found.group(found.lastgroup)))
            at = found.end()
        self.at = 0
        self.depth = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.at += 1
        return token

    def expect(self, mark: str) -> None:
        if self.take() != ("mark", mark):
            raise _Unreadable

    def junction(self, operator: str, part: Callable[[], Node]) -> Node:
        parts = [part()]
        while self.peek()[1].lower() == operator and self.peek()[0] == "word":
            self.take()
            parts.append(part())
        return parts[0] if len(parts) == 1 else Junction(operator, tuple(parts))

    def any_of(self) -> Node:
        return self.junction("or", self.all_of)

    def all_of(self) -> Node:
        return self.junction("and", self.term)

    def term(self) -> Node:
        self.depth += 1
        if self.depth > _NESTING_MAX:
            raise _Unreadable
        kind, text = self.take()
        node: Node
        if (kind, text) == ("mark", "("):
            node = self.any_of()
            self.expect(")")
        elif kind == "word" and text.lower() == "not":
            node = Negation(self.term())
        elif kind == "word" and text.lower() in _FUNCTIONS and self.peek() == ("mark", "("):
            node = self.function(text.lower())
        elif kind == "word":
            operator = self.take()[1].lower()
            if operator not in _OPERATORS:
                raise _Unreadable
            node = Compare(tuple(text.split(".")), operator, self.literal())
        else:
            raise _Unreadable
        self.depth -= 1
        return node

    def function(self, name: str) -> Node:
        self.expect("(")
        kind, field = self.take()
        if kind != "word":
            raise _Unreadable
        self.expect(",")
        value = self.literal()
        self.expect(")")
        return Compare(tuple(field.split(".")), name, value)

    def literal(self) -> Literal:
        kind, text = self.take()
        if kind == "text":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return Decimal(text)
        if kind == "word" and text.lower() in _WORDS:
            return _WORDS[text.lower()]
        raise _Unreadable


def read(text: str) -> Node | None:
    """The filter as a tree; None where it cannot be read, and is ignored as a whole."""
    try:
        reader = _Reader(text)
        node = reader.any_of()
    except _Unreadable:
        return None
    return node if reader.at == len(reader.tokens) else None


def comparisons(node: Node) -> list[Compare]:
    """Every comparison in the tree."""
    if isinstance(node, Compare):
        return [node]
    if isinstance(node, Negation):
        return comparisons(node.part)
    return [compare for part in node.parts for compare in comparisons(part)]


def fits(compare: Compare, kind: str | None) -> bool:
    """Whether a field of `kind` exists and can be compared with the literal."""
    if kind is None:
        return False
    if compare.operator in _FUNCTIONS or compare.operator in {"like", "notlike"}:
        return kind == "text" and isinstance(compare.value, str)
    if compare.value is None:
        return compare.operator in {"eq", "ne"}
    if kind in _TEXT_KINDS:
        return isinstance(compare.value, str)
    if kind == "bool":
        return isinstance(compare.value, bool)
    return isinstance(compare.value, Decimal)


def prune(node: Node, keep: Callable[[Compare], bool]) -> Node | None:
    """The tree without the comparisons that are not kept; None where nothing is left."""
    if isinstance(node, Compare):
        return node if keep(node) else None
    if isinstance(node, Negation):
        part = prune(node.part, keep)
        return None if part is None else Negation(part)
    parts = tuple(p for p in (prune(part, keep) for part in node.parts) if p is not None)
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else Junction(node.operator, parts)


def equalities(node: Node) -> list[Compare]:
    """Comparisons of own fields with `eq` that every match must satisfy: a hint for indexes."""
    if isinstance(node, Compare):
        hint = node.operator == "eq" and len(node.path) == 1 and node.value is not None
        return [node] if hint else []
    if isinstance(node, Junction) and node.operator == "and":
        return [compare for part in node.parts for compare in equalities(part)]
    return []


def matches(
    node: Node, value_of: Callable[[tuple[str, ...]], Value], *, ignore_case: bool
) -> bool | None:
    """Three-valued: only True is a match."""
    if isinstance(node, Compare):
        return _compare(node, value_of(node.path), ignore_case)
    if isinstance(node, Negation):
        part = matches(node.part, value_of, ignore_case=ignore_case)
        return None if part is None else not part
    parts = [matches(part, value_of, ignore_case=ignore_case) for part in node.parts]
    decisive = node.operator == "or"
    if decisive in parts:
        return decisive
    return None if None in parts else not decisive


def _compare(node: Compare, value: Value, ignore_case: bool) -> bool | None:
    wanted = node.value
    if wanted is None:
        return (value is None) == (node.operator == "eq")
    if value is None:
        return None
    if isinstance(value, str) and isinstance(wanted, str):
        if ignore_case:
            value, wanted = value.casefold(), wanted.casefold()
        return _compare_texts(node.operator, value, wanted)
    return _order(node.operator, value, wanted)


def _compare_texts(operator: str, value: str, wanted: str) -> bool:
    if operator == "contains":
        return wanted in value
    if operator == "startswith":
        return value.startswith(wanted)
    if operator == "endswith":
        return value.endswith(wanted)
    if operator in {"like", "notlike"}:
        return fnmatchcase(value, wanted.replace("%", "*")) == (operator == "like")
    return _order(operator, value, wanted)


def _order(operator: str, value: Value, wanted: Literal) -> bool:
    if operator in {"eq", "ne"}:
        return (value == wanted) == (operator == "eq")
    if operator in {"lt", "ge"}:
        return (value < wanted) == (operator == "lt")  # type: ignore[operator]  # fits() saw to it
    return (value > wanted) == (operator == "gt")  # type: ignore[operator]  # the same

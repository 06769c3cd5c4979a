"""Every log call of ours has an action of one closed list, and passes no name and no secret."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import msgspec

from streams.log_actions import ACTIONS, FIELDS

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log", "fatal", "warn"}
LOGGERS = re.compile(r"(?:self\._?)?_?(?:log|logger|logging)", re.IGNORECASE)
# What holds, or may hold, a person's name, an address, a secret, or an event's content.
NEVER = re.compile(
    r"name|names|full_name|customer|customers|contact|person|by|who"
    r"|email|e_mail|mail|phone|address|recipient|sender|notify|smtp"
    r"|token|tokens|secret|secrets|password|passphrase|bearer|authorization|credentials?|key"
    r"|headers|body|payload|content|data|event|record|records|row|rows|entity"
    r"|environ|settings|request|response|answer|exchange|exchanges|page|message"
)
# Where such a word is harmless, and why.
HARMLESS = {
    ("ledger_operation_failed", "group[0].operation.name"): "a name in our own code",
    ("numbers_not_read", "type(error).__name__"): "a class of Python",
    # Without a mail server the log is where notices go (interface section 6), whole as they are.
    ("notice", "' | '.join((part for part in as_text(page).splitlines() if part))"): "a notice",
    # Its subject names an integration and numbers, as the mail's own log does.
    ("notice_sent", "page.subject"): "ids and numbers",
}


class Call(msgspec.Struct, frozen=True):
    """One log call: where it is, its action, its fields, and what is put into its text."""

    where: str
    action: str | None
    fields: tuple[str, ...]
    passed: tuple[ast.expr, ...]


def calls_in(where: str, tree: ast.Module) -> Iterator[Call]:
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in LEVELS and LOGGERS.fullmatch(ast.unparse(node.func.value)):
            yield _call(f"{where}:{node.lineno}", node, constants)


def _call(where: str, node: ast.Call, constants: Mapping[str, object]) -> Call:
    extra = next((k.value for k in node.keywords if k.arg == "extra"), None)
    members: dict[str, ast.expr] = {}
    if isinstance(extra, ast.Dict):
        for key, value in zip(extra.keys, extra.values, strict=True):
            members[key.value if isinstance(key, ast.Constant) else "?"] = value  # type: ignore[index]  # any key does for a look
    action = members.pop("action", None)
    said: object = None
    if isinstance(action, ast.Constant):
        said = action.value
    elif isinstance(action, ast.Name):
        said = constants.get(action.id)
    return Call(
        where=where,
        action=said if isinstance(said, str) else None,
        fields=tuple(members),
        passed=(*node.args, *members.values()),
    )


@cache
def calls() -> list[Call]:
    return [
        call
        for top in ("schemas", "connectors", "streams")
        for path in sorted((ROOT / top).rglob("*.py"))
        for call in calls_in(
            str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))
        )
    ]


def words_of(expression: ast.expr) -> set[str]:
    """Identifiers in it; how many there are of something says nothing of what they are."""
    found: set[str] = set()
    waiting: list[ast.AST] = [expression]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "len":
            continue
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        waiting.extend(ast.iter_child_nodes(node))
    return found


def test_every_log_call_has_an_action_of_the_list() -> None:
    assert len(calls()) > 30
    wrong = [f"{call.where}: {call.action}" for call in calls() if call.action not in ACTIONS]
    assert wrong == [], "name an action, with its sentence in streams/log_actions.py"


def test_every_action_of_the_list_is_of_use() -> None:
    used = {call.action for call in calls()} | {"log"}  # the formatter's own, for libraries
    assert set(ACTIONS) - used == set()


def test_every_field_is_of_the_list() -> None:
    used = {field for call in calls() for field in call.fields}
    assert used == set(FIELDS)


def test_no_name_address_content_or_secret_is_passed() -> None:
    wrong = [
        f"{call.where}: {text}"
        for call in calls()
        for expression in call.passed
        if (text := ast.unparse(expression))
        and any(NEVER.fullmatch(word) for word in words_of(expression))
        and (call.action, text) not in HARMLESS
    ]
    assert wrong == []


def test_what_is_called_harmless_is_there() -> None:
    passed = {(call.action, ast.unparse(one)) for call in calls() for one in call.passed}
    assert set(HARMLESS) - passed == set()


def test_texts_are_constant_so_that_nothing_gets_into_them_unseen() -> None:
    """An f-string would hide what it carries from the tests above, and from aggregation."""
    wrong = [
        call.where
        for call in calls()
        if not any(isinstance(one, ast.Constant) for one in call.passed[:2])
    ]
    assert wrong == []


def test_nothing_is_printed_beside_the_log() -> None:
    """A worker's lines have one form; what commands print goes through their own output."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for top in ("schemas", "connectors", "streams")
        for path in sorted((ROOT / top).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"print", "logging.basicConfig"}
    ]
    assert wrong == []


def test_the_reading_of_calls_sees_what_is_wrong() -> None:
    """The rules above are only as good as their reading."""
    text = (
        'ACTION = "x"\n'
        'log.info("a %s", customer.email, extra={"action": ACTION, "integration": one.id})\n'
        '_LOG.error("b", extra={"token": bearer})\n'
        'self._log.warning("%d", len(records), extra={"action": "y"})\n'
        'catalog.info("c")\n'
    )
    found = list(calls_in("m", ast.parse(text)))
    assert [(call.action, call.fields) for call in found] == [
        ("x", ("integration",)),
        (None, ("token",)),
        ("y", ()),
    ]
    bad = [
        [ast.unparse(one) for one in call.passed if any(map(NEVER.fullmatch, words_of(one)))]
        for call in found
    ]
    assert bad == [["customer.email"], ["bearer"], []]

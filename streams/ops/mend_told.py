"""What is said of a replay or a discard when it is over."""

from typing import Any, Final

import msgspec

from schemas.commands import CommandKind
from streams.ledger.queries import Settled
from streams.ops import console_output as out
from streams.ops.canary import is_through, shown
from streams.ops.orders import Came

VERBS: Final = {CommandKind.REPLAY: "replayed", CommandKind.DISCARD: "discarded"}


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of all of it. `not_sent`: because the canary did not get through.

    `groups`: of a dry run, what would go, by cause.
    """

    came: Came = Came()
    canary: list[Settled] = []
    not_sent: tuple[str, ...] = ()
    groups: list[dict[str, Any]] | None = None


def together(one: Came, other: Came) -> Came:
    """Two in one."""
    return Came(
        done=(*one.done, *other.done),
        refused=(*one.refused, *other.refused),
        opened=(*one.opened, *other.opened),
        pending=(*one.pending, *other.pending),
        why=one.why or other.why,
    )


def tell(kind: CommandKind, done: Done, *, dry_run: bool, as_json: bool) -> None:
    """Print it: one document, or lines for people."""
    if as_json:
        out.document(_document(kind, done, dry_run=dry_run))
        return
    came = done.came
    for group in done.groups or ():
        where = group["integration"] or "no delivery"
        out.text(out.harmless(f"{group['count']:>7}  {group['code']}  {where}"))
    would = "would be " if dry_run else ""
    out.text(f"{len(came.done)} {would}{VERBS[kind]}, {len(came.refused)} refused")
    for one in came.refused:
        out.text(out.harmless(f"{one['deliveryId']}  {one['reason']}: {one['text']}"))
    for settled in done.canary:
        words = f"canary {settled.delivery_id} is {settled.state} {settled.failure_code or ''}"
        out.text(out.harmless(words).rstrip())
    if done.not_sent:
        out.text(f"{len(done.not_sent)} were not sent, since the canary did not get through")


def _document(kind: CommandKind, done: Done, *, dry_run: bool) -> dict[str, Any]:
    came = done.came
    found: dict[str, Any] = {
        VERBS[kind]: list(came.done),
        "refused": list(came.refused),
        "dryRun": dry_run,
    }
    if came.pending:
        found["pending"] = list(came.pending)
    if done.canary:
        found |= {"canary": shown(done.canary), "canaryApplied": is_through(done.canary)}
    if done.not_sent:
        found["notSent"] = list(done.not_sent)
    if done.groups is not None:
        found["groups"] = done.groups
    return found

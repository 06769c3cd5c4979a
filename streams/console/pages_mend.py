"""Replaying and discarding: the dry run, the edit beside the original, and the act itself."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from schemas.commands import CommandKind
from schemas.content import data_tree
from schemas.edits import EditValue, parse_path
from schemas.events import Entity, EntityType
from schemas.failures import Failure
from streams.console.acting import MOST_AT_ONCE, How, Wish, company_of, judged_now
from streams.console.addresses import FILTERS, dead_address, letter_address
from streams.console.desk import Desk, Problem, answer, desk_of, language_of, person_of, text_of
from streams.console.filters import Asked, asked
from streams.console.pages_dead import formatted
from streams.console.people import Person
from streams.console.wording import Said, say
from streams.core.replays import Reason
from streams.core.states import State
from streams.ledger.console_dead import all_sought
from streams.ledger.replays import UNKNOWN, Judged, load_by_id
from streams.ledger.rows import StoredDelivery
from streams.ledger.rules import UnreadableEventError
from streams.ops.command_base import CommandEnds
from streams.ops.edit_options import editable, read_edits, refuse_bad_paths
from streams.ops.orders import refuse_bad

SHOWN: Final = 40  # of what would go, and of each reason of what would not
LINES_EDITED: Final = 40  # lines of an invoice that can be edited on a page
ADDRESS_MAX: Final = 6_000  # characters: browsers and servers take a little more
RATE_MAX: Final = 1_000.0
KINDS: Final = {CommandKind.REPLAY.value, CommandKind.DISCARD.value}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an address or a form names: deliveries by id, or by filter as it was at a time."""

    kind: CommandKind
    ids: tuple[str, ...]
    filters: Asked | None
    edits: tuple[str, ...]
    until: float
    whole: bool = True  # whether what was found is all that fits

    @property
    def back(self) -> str:
        """The page that it was asked on."""
        if self.filters is None:
            return letter_address(self.ids[0]) if len(self.ids) == 1 else dead_address()
        kept = {n: v for n, v in self.filters.values.items() if n != "until"}
        return dead_address(**kept)


async def dry_run(request: web.Request) -> web.Response:
    """What would be done, and nothing is."""
    desk, person = desk_of(request), person_of(request)
    given = request.query
    plan = _plan(given, given.getall("id", []), given.getall("edit", []), request)
    wish = Wish(kind=plan.kind, by=person.name or "nobody", edit=_edits(plan.edits))
    force = given.get("force") == "1"
    plan, judged = await _judged(desk, person, plan, msgspec.structs.replace(wish, force=force))
    return _dry_run_page(request, plan, judged, force=force)


def _dry_run_page(
    request: web.Request, plan: Plan, judged: Sequence[Judged], *, force: bool, wrong: str = ""
) -> web.Response:
    language = language_of(request)
    go = [one for one in judged if one.refusal is None]
    refused: dict[str, list[Judged]] = {}
    for one in judged:
        if one.refusal is not None:
            refused.setdefault(one.refusal.reason, []).append(one)
    values = {} if plan.filters is None else plan.filters.values
    return answer(
        request,
        "mend.html",
        status=400 if wrong else 200,
        kind=plan.kind.value,
        go=_go_groups(go, language),
        many=len(go),
        refused=[(reason, of[:SHOWN], len(of)) for reason, of in refused.items()],
        refused_many=len(judged) - len(go),
        in_vain=Reason.IN_VAIN in refused and not force,
        forced=force,
        whole=plan.whole,
        most=MOST_AT_ONCE,
        ids=plan.ids if plan.filters is None else (),
        filters={name: value for name, value in values.items() if name != "until"},
        until=f"{plan.until:.6f}",
        edits=plan.edits,
        changes=go[0].changes if len(go) == 1 else (),
        back=plan.back,
        wrong=wrong,
    )


def _go_groups(go: Sequence[Judged], language: str) -> list[dict[str, Any]]:
    """What would go, by what went wrong; the canary is the first of all."""
    groups: dict[tuple[str, str | None], list[Judged]] = {}
    for one in go:
        failure = _failure_of(one)
        code = "" if failure is None else failure.code.value
        groups.setdefault((code, _system_of(one)), []).append(one)
    found = []
    for (_, system), of in groups.items():
        failure = _failure_of(of[0])
        entity = _entity_of(of[0]) if len(of) == 1 else None
        said = None if failure is None else say(failure, language, system, entity)
        some = [
            {
                "name": one.delivery_id,
                "entity": _entity_of(one),
                "company": company_of(one),
                "integration": None if one.delivery is None else one.delivery.integration,
                "first": one is go[0],
            }
            for one in of[:SHOWN]
        ]
        found.append({"said": said or Said("", "", "en"), "many": len(of), "some": some})
    return found


def _failure_of(one: Judged) -> Failure | None:
    if one.delivery is not None:
        return one.delivery.failure
    return None if one.letter is None else one.letter.failure


def _system_of(one: Judged) -> str | None:
    return None if one.delivery is None else one.delivery.system


def _entity_of(one: Judged) -> str | None:
    delivery = one.delivery
    return None if delivery is None else f"{delivery.entity_type.value}/{delivery.number}"


async def act(request: web.Request) -> web.StreamResponse:
    """Check again, send, and show how it goes."""
    desk, person = desk_of(request), person_of(request)
    form = await request.post()
    plan = _plan(
        {name: text_of(form, name) for name in ("kind", "all", *FILTERS) if text_of(form, name)},
        [str(one) for one in form.getall("id", [])],
        [str(one) for one in form.getall("edit", [])],
        request,
    )
    wish = Wish(
        kind=plan.kind,
        by=person.name,
        reason=text_of(form, "reason"),
        edit=_edits(plan.edits),
        force=text_of(form, "force") == "1",
        how=_how(text_of(form, "how"), plan.kind),
        rate=_rate(text_of(form, "rate")),
    )
    plan, judged = await _judged(desk, person, plan, wish)
    if not wish.reason:
        wrong = "Say why: the reason is kept in the audit beside your name."
        return _dry_run_page(request, plan, judged, force=wish.force, wrong=wrong)
    try:
        refuse_bad(wish.kind, msgspec.structs.replace(wish.base, deliveries=("any",)))
    except CommandEnds as ends:
        return _dry_run_page(request, plan, judged, force=wish.force, wrong=ends.message)
    deed = desk.acts.start(wish, judged, plan.back, again=_again(plan))
    raise web.HTTPSeeOther(f"/console/deed/{deed.id}")


def _again(plan: Plan) -> str:
    """The dry run of what a canary leaves: the same filter, or the same ids but for the canary."""
    if plan.filters is None:
        rest = [("kind", plan.kind.value), *(("id", name) for name in plan.ids[1:])]
        address = f"/console/mend?{urlencode(rest)}"
        return address if len(address) < ADDRESS_MAX else plan.back
    kept = {n: v for n, v in plan.filters.values.items() if n != "until"}
    everything = None if kept else 1
    return dead_address("mend", kind=plan.kind.value, all=everything, **kept)


# --- what is meant ---------------------------------------------------------------------------


def _plan(
    given: Mapping[str, str], ids: Sequence[str], edits: Sequence[str], request: web.Request
) -> Plan:
    desk, person = desk_of(request), person_of(request)
    kind = given.get("kind", CommandKind.REPLAY.value)
    if kind not in KINDS:
        raise _bad(f"{kind[:40]!r} is nothing that can be done to dead letters here.")
    named = {name: given[name] for name in FILTERS if given.get(name, "").strip()}
    until = named.get("until")
    filters = asked(named, person, desk.view, language_of(request))
    chosen = any(name != "until" for name in named)
    if ids and chosen:
        raise _bad("It names letters and a filter: one of both.")
    if not ids and not chosen and given.get("all") != "1":
        raise _bad("It names no letters and no filter.")
    if len(ids) > MOST_AT_ONCE:
        raise _bad(f"It names more than {MOST_AT_ONCE} letters.")
    return Plan(
        kind=CommandKind(kind),
        ids=tuple(dict.fromkeys(ids)),
        filters=None if ids else filters,
        edits=tuple(edits),
        until=desk.view.now() if until is None else (filters.sought.until or 0.0),
    )


def _bad(why: str) -> Problem:
    return Problem(
        400,
        "That cannot be done",
        why,
        do="Choose letters in the list, or open one, and go on from there.",
        at=("/console/dead", "Dead letters"),
    )


def _edits(texts: Sequence[str]) -> dict[str, EditValue]:
    try:
        return read_edits(texts)
    except CommandEnds as ends:
        raise _bad(ends.message) from None


def _how(text: str, kind: CommandKind) -> How:
    if not text or kind is not CommandKind.REPLAY:
        return How.ALL
    try:
        return How(text)
    except ValueError:
        raise _bad(f"{text[:20]!r} is no way to send letters.") from None


def _rate(text: str) -> float | None:
    if not text:
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= RATE_MAX:
        raise _bad(f"{text[:20]!r} is no number of deliveries a second up to {RATE_MAX:.0f}.")
    return rate


async def _judged(desk: Desk, person: Person, plan: Plan, wish: Wish) -> tuple[Plan, list[Judged]]:
    """Judge what is meant. What the person may not see is unknown to them."""

    def query(connection: Any) -> tuple[tuple[str, ...], bool, list[Judged]]:
        ids, whole = plan.ids, True
        if plan.filters is not None:
            sought = msgspec.structs.replace(plan.filters.sought, until=plan.until)
            found, whole = all_sought(connection, sought, MOST_AT_ONCE)
            ids = tuple(dead.delivery_id for dead in found)
        return ids, whole, judged_now(connection, desk.view, wish, ids)

    ids, whole, judged = await desk.view.reader.ask(query)
    hidden = [one for one in judged if not person.sees(company_of(one))]
    if any(one.refusal is UNKNOWN for one in judged) or hidden:
        raise Problem(
            404,
            "Not every one is known",
            "Nothing was done: the ledger does not know every id.",
            at=("/console/dead", "Dead letters"),
        )
    kinds = {EntityType(one.delivery.entity_type) for one in judged if one.delivery is not None}
    try:
        refuse_bad_paths(wish.edit, sorted(kinds))
    except CommandEnds as ends:
        raise _bad(ends.message.partition(";")[0]) from None
    return msgspec.structs.replace(plan, ids=ids, whole=whole), judged


# --- editing ---------------------------------------------------------------------------------


async def edit(request: web.Request) -> web.Response:
    """Every member that can be edited, beside the event as it came."""
    desk, person = desk_of(request), person_of(request)
    name = request.match_info["id"]
    entity, found = await _edited_event(desk, person, name)
    kind, failure = found.entity_type, found.failure
    fields = _fields(entity, kind)
    return answer(
        request,
        "edit.html",
        name=name,
        entity=f"{kind.value}/{entity.number}",
        groups=_by_line(fields),
        came=formatted(found.record.value or b""),
        wrong_at=((failure.field if failure is not None else None) or "").removeprefix("$."),
        said=say(failure, language_of(request), found.system, f"{kind.value}/{entity.number}")
        if failure is not None
        else None,
        more_lines=max(0, len(getattr(entity, "lines", ())) - LINES_EDITED),
    )


async def edited(request: web.Request) -> web.StreamResponse:
    """Of a form, keep what was changed, and go to its dry run."""
    desk, person = desk_of(request), person_of(request)
    name = request.match_info["id"]
    entity, found = await _edited_event(desk, person, name)
    kind = found.entity_type
    form = await request.post()
    before = dict(_fields(entity, kind))
    changed = [
        f"{path}={text_of(form, f'at:{path}')}"
        for path, value in before.items()
        if f"at:{path}" in form and text_of(form, f"at:{path}") != value
    ]
    if not changed:
        raise web.HTTPSeeOther(f"/console/edit/{name}?unchanged=1")
    address = request.url.with_path("/console/mend").with_query(
        [("kind", "replay"), ("id", name), *(("edit", one) for one in changed)]
    )
    if len(str(address.relative())) > ADDRESS_MAX:
        raise _bad("More was changed than fits an address; the command line takes it: --edit.")
    raise web.HTTPSeeOther(str(address.relative()))


async def _edited_event(desk: Desk, person: Person, name: str) -> tuple[Entity, StoredDelivery]:
    found = (await desk.view.reader.ask(lambda c: load_by_id(c, [name]))).get(name)
    if found is None or not person.sees(found.company):
        raise Problem(404, "No such letter", f"The ledger knows no delivery {name[:80]}.")
    if found.state is not State.DEAD:
        raise Problem(
            409,
            "It is not dead",
            f"It is {found.state.value} now, so there is nothing to edit.",
            at=(letter_address(name), "Back to it"),
        )
    try:
        return desk.view.rules.event(found), found
    except UnreadableEventError:
        raise _bad("Its event cannot be read any more, so it cannot be edited.") from None


def _fields(entity: Entity, kind: EntityType) -> list[tuple[str, str]]:
    """Every path that can be edited, with its value as text; empty where there is none."""
    tree = data_tree(entity)
    lines = min(len(getattr(entity, "lines", ())), LINES_EDITED)
    found = []
    for path in editable(kind):
        places = range(lines) if "[0]" in path else (0,)
        for place in places:
            there = path.replace("[0]", f"[{place}]")
            found.append((there, _at(tree, there)))
    return found


def _at(tree: Any, path: str) -> str:
    for step in parse_path(path) or ():
        if isinstance(step, int):
            tree = tree[step] if isinstance(tree, list | tuple) and step < len(tree) else None
        else:
            tree = tree.get(step) if isinstance(tree, dict) else None
    return "" if tree is None else str(tree)


def _by_line(
    fields: Sequence[tuple[str, str]],
) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Those of the entity itself, then those of each line: heading, and path, label and value."""
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for path, value in fields:
        line, dot, rest = path.partition("].")
        heading = f"Line {int(line.partition('[')[2]) + 1}" if dot else "The whole"
        groups.setdefault(heading, []).append((path, rest if dot else path, value))
    return list(groups.items())

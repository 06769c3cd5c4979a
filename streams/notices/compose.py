"""What a notice says: one page, as plain text and as HTML. Pure.

Everything that came from outside is made one line of printable text, cut, and, in HTML, escaped.
"""

import html
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final

import msgspec

from connectors.redaction import cleared
from schemas.catalogue.by_hand import field_word
from schemas.catalogue.catalogue import render, system_name
from schemas.catalogue.shape import Words
from schemas.events import EntityType
from schemas.failures import Change, Failure
from schemas.outcomes import OutcomeKind
from streams.notices.causes import OF_LETTERS, Cause, Detail, Say
from streams.notices.words import EN, WORDS, NoticeWords

LISTED_MOST = 50  # named one by one; a longer list is read by nobody
SUBJECT_LENGTH_MAX = 110  # characters: what programs show of one
NAME_LENGTH_MAX = 100  # the longest id of an integration
TAG_LENGTH_MAX = 40  # of that id in a subject
CHANGE_LENGTH_MAX = 200  # of a value that is to be changed by hand
WAITING_SHOWN_MOST = 10_000  # a ledger counts no further

_COLOURS: Final[dict[OutcomeKind, str]] = {
    OutcomeKind.DEAD: "#b42318",
    OutcomeKind.BLOCKED: "#b54708",
    OutcomeKind.HELD: "#b54708",
    OutcomeKind.RETRYING: "#b54708",
    OutcomeKind.MANUAL: "#175cd3",
}
_SOLVED_COLOUR: Final = "#067647"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a notice is made of. `listed`: at most `LISTED_MOST`; `counts`: all of them, by type.

    `waiting`: how many deliveries a hold keeps. `lasting`: since when the oldest is open, and when
    the topics will have its event no more, where that is soon.
    """

    cause: Cause
    say: Say
    language: str
    counts: Mapping[EntityType | None, int] = {}
    listed: tuple[Detail, ...] = ()
    waiting: int = 0
    lasting: tuple[date, date] | None = None


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A title, paragraphs, and a list."""

    title: str = ""
    paragraphs: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    after: str = ""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A whole notice. No text in it holds a line's end."""

    subject: str
    heading: str
    colour: str
    language: str
    sections: tuple[Section, ...]
    footer: tuple[str, ...]


def compose(facts: Facts) -> Page:
    """Write the notice of one cause in the integration's language."""
    words = WORDS.get(facts.language, EN)
    cause, system = facts.cause, system_name(facts.cause.system, language=facts.language)
    solved = facts.say is Say.SOLVED
    heading = _heading(facts, words, system)
    sections = _solved(facts, words) if solved else _troubled(facts, words, system)
    about = words.about.format(integration=line(cause.integration), company=line(cause.company))
    footer = [about if cause.code is None else f"{about}, {cause.code.value}"]
    if cause.kind is OutcomeKind.DEAD and not solved:
        whose = f"--integration {line(cause.integration)}"
        if cause.code in OF_LETTERS:  # which belong to no integration
            whose = f"--company {line(cause.company)}"
        command = f"moment-sync deadletters list {whose}"
        code = f" --code {cause.code.value}" if cause.code is not None else ""
        footer.append(words.facts.format(command=command + code))
    footer.append(words.why_you)
    if cause.kind is not OutcomeKind.MANUAL and not solved:
        footer.append(words.again)
    return Page(
        subject=_cut(f"[{line(cause.integration, TAG_LENGTH_MAX)}] {heading}", SUBJECT_LENGTH_MAX),
        heading=heading,
        colour=_SOLVED_COLOUR if solved else _COLOURS[cause.kind],
        language=facts.language if facts.language in WORDS else "en",
        sections=tuple(sections),
        footer=tuple(footer),
    )


def line(text: str, limit: int = NAME_LENGTH_MAX) -> str:
    """One line of printable text without secrets. Controls and marks of direction are dropped."""
    spaced = " ".join(cleared(text[: 4 * limit]).split())
    kept = "".join(char for char in spaced if not unicodedata.category(char).startswith("C"))
    return _cut(kept, limit) or "?"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


# --- words -----------------------------------------------------------------------------------


def _heading(facts: Facts, words: NoticeWords, system: str) -> str:
    cause = facts.cause
    held = cause.kind is OutcomeKind.HELD
    if facts.say is Say.SOLVED:
        if held:
            return words.solved_hold.format(system=system)
        counts: dict[EntityType | None, int] = dict.fromkeys(cause.entity_types, 0)
        what = _many(max(cause.mended, 1), counts, words)
        return words.solved.format(what=what, system=system)
    what = "" if held else _what(facts, words)
    if facts.say is Say.AGAIN and cause.fresh and not held:
        what = words.more.format(what=what, new=cause.fresh)
    label = {
        OutcomeKind.DEAD: words.dead,
        OutcomeKind.BLOCKED: words.blocked,
        OutcomeKind.HELD: words.held,
        OutcomeKind.RETRYING: words.retrying,
        OutcomeKind.MANUAL: words.manual,
    }[cause.kind].format(what=what, system=system, parent=_parent(cause.detail, words))
    return words.still.format(label=label) if facts.say is Say.REMINDER else label


def _what(facts: Facts, words: NoticeWords) -> str:
    many = sum(facts.counts.values())
    if many == 1 and facts.listed:
        return _name(facts.listed[0], words)
    return _many(many, facts.counts, words)


def _many(many: int, counts: Mapping[EntityType | None, int], words: NoticeWords) -> str:
    only = next(iter(counts)) if len(counts) == 1 else None
    forms = words.several_kinds if only is None else words.nouns[only]
    return f"{many} {forms[0] if words.is_one(many) else forms[1]}"


def _name(detail: Detail, words: NoticeWords) -> str:
    noun = (
        words.several_kinds[0] if detail.entity_type is None else words.nouns[detail.entity_type][0]
    )
    return f"{noun} {line(detail.number)}"


def _parent(detail: Detail, words: NoticeWords) -> str:
    parameters = detail.failure.parameters if detail.failure is not None else {}
    kind, number = parameters.get("parentType", ""), parameters.get("parentNumber", "")
    if kind not in list(EntityType):
        return line(number)
    return f"{words.nouns[EntityType(kind)][0]} {line(number)}"


# --- sections --------------------------------------------------------------------------------


def _troubled(facts: Facts, words: NoticeWords, system: str) -> Iterator[Section]:
    if facts.cause.kind is OutcomeKind.MANUAL:
        yield Section(
            title=words.to_do,
            paragraphs=(words.by_hand.format(system=system),),
            items=tuple(_changes(detail, facts.language, words) for detail in facts.listed),
            after=_rest(facts, words),
        )
        return
    first = facts.listed[0] if facts.listed else facts.cause.detail
    if first.failure is None:
        return
    told = _told(first.failure, facts, first)
    apart = len({_neutral(detail, facts) for detail in facts.listed}) > 1
    listed = len(facts.listed) > 1
    yield Section(
        title=words.happened,
        paragraphs=(told.text,) if apart or not listed else (told.text, words.others),
    )
    yield Section(title=words.to_do, paragraphs=(told.action,))
    if listed:
        yield Section(
            title=words.which,
            items=tuple(_item(detail, facts, words, apart=apart) for detail in facts.listed),
            after=_rest(facts, words),
        )
    if facts.waiting:
        what = _many(facts.waiting, {}, words)
        if facts.waiting >= WAITING_SHOWN_MOST:
            what = words.at_least.format(what=what)
        yield Section(paragraphs=(words.waiting.format(what=what),))
    if facts.lasting is not None:
        since, until = facts.lasting
        yield Section(paragraphs=(words.lasting.format(since=since, until=until),))


def _solved(facts: Facts, words: NoticeWords) -> Iterator[Section]:
    held = facts.cause.kind is OutcomeKind.HELD
    about = facts.cause.detail
    paragraphs = [words.goes_on if held else words.nothing_left]
    if about.failure is not None:
        paragraphs.append(_told(about.failure, facts, about).text)
    yield Section(paragraphs=tuple(paragraphs))


def _rest(facts: Facts, words: NoticeWords) -> str:
    left = sum(facts.counts.values()) - len(facts.listed)
    return words.and_more.format(many=left) if left > 0 else ""


def _told(failure: Failure, facts: Facts, detail: Detail) -> Words:
    kind = detail.entity_type.value if detail.entity_type is not None else ""
    words = render(
        failure,
        language=facts.language,
        system=facts.cause.system,
        entity_type=kind,
        number=detail.number,
    )
    return Words(cleared(words.text), cleared(words.action))


def _neutral(detail: Detail, facts: Facts) -> str:
    """What is told of a delivery, but for its name."""
    if detail.failure is None:
        return ""
    return _told(detail.failure, facts, Detail()).text


def _item(detail: Detail, facts: Facts, words: NoticeWords, *, apart: bool) -> str:
    name = _name(detail, words)
    if not apart or detail.failure is None:
        return name
    return f"{name}: {_told(detail.failure, facts, detail).text}"


def _changes(detail: Detail, language: str, words: NoticeWords) -> str:
    listed = "; ".join(_change(change, language) for change in detail.changes)
    return f"{_name(detail, words)}: {listed}" if listed else _name(detail, words)


def _change(change: Change, language: str) -> str:
    before, after = (
        line(value, CHANGE_LENGTH_MAX) if value else "-" for value in (change.from_, change.to)
    )
    return f"{line(field_word(change.field, language=language))}: {before} → {after}"


# --- forms -----------------------------------------------------------------------------------


def as_text(page: Page) -> str:
    """The page as plain text."""
    parts = [page.heading]
    for section in page.sections:
        lines = [section.title.upper()] if section.title else []
        lines += section.paragraphs
        lines += [f"- {item}" for item in section.items]
        lines += [section.after] if section.after else []
        parts.append("\n".join(lines))
    parts.append("-- \n" + "\n".join(page.footer))
    return "\n\n".join(parts) + "\n"


_FONT: Final = "font-family:-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"


def as_html(page: Page) -> str:
    """The page as HTML that needs nothing from anywhere: no picture, no link, no style sheet."""
    body = "".join(_section_html(section) for section in page.sections)
    foot = "<br>".join(html.escape(text) for text in page.footer)
    return (
        f'<!doctype html><html lang="{page.language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{html.escape(page.subject)}'
        f'</title></head><body style="margin:0;padding:24px 12px;background:#f4f5f7;{_FONT};'
        'font-size:15px;line-height:1.5;color:#1d2939">'
        '<div style="max-width:620px;margin:0 auto;background:#ffffff;border-radius:8px;'
        f'border-top:5px solid {page.colour};padding:24px 28px">'
        f'<h1 style="margin:0 0 4px;font-size:20px;line-height:1.3;color:{page.colour};'
        f'overflow-wrap:anywhere">{html.escape(page.heading)}</h1>{body}'
        '<p style="margin:24px 0 0;padding-top:14px;border-top:1px solid #e4e7ec;'
        f'font-size:12px;color:#667085;overflow-wrap:anywhere">{foot}</p></div></body></html>\n'
    )


def _section_html(section: Section) -> str:
    parts = []
    if section.title:
        parts.append(
            '<h2 style="margin:20px 0 4px;font-size:12px;letter-spacing:.04em;'
            f'text-transform:uppercase;color:#667085">{html.escape(section.title)}</h2>'
        )
    parts += [
        f'<p style="margin:0 0 8px;overflow-wrap:anywhere">{html.escape(text)}</p>'
        for text in section.paragraphs
    ]
    if section.items:
        items = "".join(f"<li>{html.escape(item)}</li>" for item in section.items)
        parts.append(
            '<ul style="margin:4px 0 0;padding-left:20px;overflow-wrap:anywhere">' + items + "</ul>"
        )
    if section.after:
        parts.append(f'<p style="margin:4px 0 0;color:#667085">{html.escape(section.after)}</p>')
    return "".join(parts)

"""What a notice says, and what it never lets through."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.integrations import Integration
from schemas.catalogue.catalogue import LANGUAGES
from schemas.events import EntityType
from schemas.failures import FACTS, Change, Failure, FailureCode
from schemas.outcomes import OutcomeKind
from streams.notices.causes import TOLD, Cause, Detail, Say, cause_of
from streams.notices.compose import Facts, Page, as_html, as_text, compose
from streams.notices.mail import build, recipient_of, sender_of
from streams.notices.words import IS, WORDS
from tests.ledger.samples import SB1
from tests.notices.post_office import text_of

AT = datetime(2026, 11, 2, 9, 2, tzinfo=UTC)
EVIL = 'x\r\nBcc: all@evil.example\r\n\r\n<script>alert("1")</script>\x00\u202e'


def cause(kind: OutcomeKind = OutcomeKind.DEAD, **values: object) -> Cause:
    facts: dict[str, object] = {
        "cause_pk": 7,
        "integration": "fjord-sb1",
        "system": "sparebank1",
        "company": "c-1001",
        "kind": kind,
        "code": FailureCode.VAT_CODE_UNKNOWN,
        "detail": Detail(failure=failure()),
        **values,
    }
    return Cause(**facts)  # type: ignore[arg-type]  # fields by name, of any type


def failure(code: FailureCode = FailureCode.VAT_CODE_UNKNOWN, value: str = "33") -> Failure:
    return Failure(code=code, parameters=dict.fromkeys(FACTS[code][1], value))


def detail(number: str, what: Failure | None = None) -> Detail:
    return Detail(entity_type=EntityType.INVOICE, number=number, failure=what or failure())


def page_of(one: Cause, *details: Detail, say: Say = Say.FIRST, language: str = "en") -> Page:
    counts: dict[EntityType | None, int] = {EntityType.INVOICE: len(details)} if details else {}
    return compose(
        Facts(cause=one, say=say, language=language, counts=counts, listed=tuple(details))
    )


def mail_of(page: Page, one: Cause, integration: Integration = SB1) -> EmailMessage:
    """The mail as a program that receives it reads it."""
    message = build(
        page,
        one,
        sender=sender_of(None, None, "worker.example"),
        recipient=recipient_of(integration.notify),
        group="moment-sync",
        at=AT,
    )
    read = message_from_bytes(message.as_bytes(), policy=default)
    assert isinstance(read, EmailMessage)
    return read


@pytest.mark.parametrize("language", list(LANGUAGES))
@pytest.mark.parametrize("kind", sorted(TOLD))
@pytest.mark.parametrize("say", list(Say))
def test_every_kind_can_be_told_in_every_language(
    language: str, kind: OutcomeKind, say: Say
) -> None:
    one = cause(kind, entity_types=(EntityType.INVOICE,), fresh=1, mended=2)
    page = page_of(one, detail("1001"), detail("1002"), say=say, language=language)
    assert page.language == language
    assert len(page.subject) <= 110
    text = as_text(page)
    assert "{" not in text
    assert page.heading in as_html(page)


def test_every_code_can_be_told() -> None:
    for code in FailureCode:
        one = cause(code=code, detail=Detail(failure=failure(code)))
        text = as_text(page_of(one, detail("1001", failure(code))))
        assert "WHAT HAPPENED" in text
        assert "{" not in text


def test_names_and_values_put_nothing_into_headers_or_html() -> None:
    one = cause(company=EVIL, integration=EVIL, detail=Detail(failure=failure(value=EVIL)))
    manual = cause(OutcomeKind.MANUAL, company=EVIL)
    change = Change(field=EVIL, from_=EVIL, to=EVIL)
    changed = Detail(entity_type=EntityType.PROJECT, number=EVIL, changes=(change,))
    pages = [
        page_of(one, detail(EVIL, failure(value=EVIL)), detail("2", failure(value="6"))),
        page_of(one, detail(EVIL, failure(value=EVIL)), say=Say.SOLVED),
        page_of(manual, changed),
    ]
    for page in pages:
        mail = mail_of(page, one)
        assert mail["Bcc"] is None
        assert mail["To"] == SB1.notify
        assert "\n" not in page.subject
        html, text = text_of(mail, "html"), text_of(mail)
        assert "<script" not in html
        assert "&lt;script" in html
        for bad in ("\x00", "\u202e", "\nBcc"):
            assert bad not in text
            assert bad not in html


@given(st.text(max_size=400), st.text(max_size=400))
def test_whatever_is_named_the_mail_can_be_read(number: str, value: str) -> None:
    one = cause(integration=number or "i", company=value)
    mail = mail_of(page_of(one, detail(number, failure(value=value))), one)
    assert mail["To"] == SB1.notify
    assert {part.get_content_type() for part in mail.iter_parts()} == {"text/plain", "text/html"}
    assert mail.defects == []


def test_a_secret_in_an_answer_is_not_told() -> None:
    answer = "401 token: abcdef123456 Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig"
    told = Failure(code=FailureCode.CREDENTIALS_REFUSED, parameters={"answer": answer})
    text = as_text(page_of(cause(OutcomeKind.HELD, detail=Detail(failure=told))))
    assert "abcdef123456" not in text
    assert "eyJ" not in text


def test_what_differs_is_told_one_by_one_and_what_does_not_once() -> None:
    same = as_text(page_of(cause(), detail("1001"), detail("1002")))
    assert same.count("VAT code 33") == 1
    assert "The same holds for the others" in same
    apart = as_text(page_of(cause(), detail("1001"), detail("1002", failure(value="34"))))
    assert "- invoice 1002: Invoice 1002 was not transferred" in apart
    assert "The same holds" not in apart


def test_mails_of_one_cause_stand_together_and_each_has_an_id_of_its_own() -> None:
    first, again = cause(), cause(mails=1)
    one, two = (mail_of(page_of(c, detail("1001")), c) for c in (first, again))
    assert one["Message-ID"] != two["Message-ID"]
    assert two["References"] == one["Message-ID"]
    assert mail_of(page_of(first, detail("9")), first)["Message-ID"] == one["Message-ID"]
    assert one["Auto-Submitted"] == "auto-generated"


def test_a_cause_is_what_a_person_mends() -> None:
    kind = OutcomeKind.DEAD
    assert cause_of(kind, failure(value="33")) == cause_of(kind, failure(value="33"))
    assert cause_of(kind, failure(value="33")) != cause_of(kind, failure(value="6"))
    locked = [
        Failure(code=FailureCode.PERIOD_LOCKED, parameters={"lockDate": "2026-06-30", "date": date})
        for date in ("2026-05-01", "2026-05-02")
    ]
    assert cause_of(kind, locked[0]) == cause_of(kind, locked[1])
    assert cause_of(kind, failure(value="\x00\ud800" * 10_000)).isalnum()
    held = Failure(code=FailureCode.SALES_PERSON_UNKNOWN, parameters={"salesPerson": "a"})
    assert cause_of(OutcomeKind.HELD, held) == ""


def test_languages_have_the_same_placeholders() -> None:
    english = WORDS["en"]
    for words in WORDS.values():
        for name in words.__struct_fields__:
            given_, wanted = getattr(words, name), getattr(english, name)
            if isinstance(given_, str):
                assert placeholders(given_) == placeholders(wanted), name


def placeholders(text: str) -> list[str]:
    return sorted(part.split("}")[0] for part in text.split("{")[1:])


def test_icelandic_counts_as_icelandic_does() -> None:
    assert [n for n in range(1, 130) if IS.is_one(n)] == [
        1, 21, 31, 41, 51, 61, 71, 81, 91, 101, 121,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("configured", "user", "wanted"),
    [
        (None, None, "moment-sync@worker.example"),
        ("Moment <sync@x.example>", None, "sync@x.example"),
        (None, "mailer@x.example", "mailer@x.example"),
        ("nonsense", "user", "moment-sync@worker.example"),
    ],
)
def test_there_is_always_a_sender(configured: str | None, user: str | None, wanted: str) -> None:
    assert sender_of(configured, user, "worker.example").addr_spec == wanted

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue.catalogue import (
    LANGUAGES,
    SYSTEMS,
    VALUE_LENGTH_MAX,
    failures_page,
    render,
    render_all,
    render_warning,
)
from schemas.failures import (
    FACTS,
    WARNING_PARAMETERS,
    Failure,
    FailureCode,
    Notable,
    WarningCode,
)

ROOT = Path(__file__).parents[2]
PLACEHOLDER = re.compile(r"\{(\w+)\}")
EVERYWHERE = {"system", "entity"}


def names(*templates: str) -> set[str]:
    return {name for template in templates for name in PLACEHOLDER.findall(template)}


def example(code: FailureCode) -> Failure:
    return Failure(code=code, parameters={name: f"<{name}>" for name in FACTS[code][1]})


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_and_every_warning_has_words_in_every_language(language: str) -> None:
    words = LANGUAGES[language]
    assert set(words.failures) == set(FailureCode) == set(FACTS)
    assert set(words.warnings) == set(WarningCode) == set(WARNING_PARAMETERS)
    assert all(w.text.strip() and w.action.strip() for w in words.failures.values())
    assert all(text.strip() for text in words.warnings.values())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", FailureCode)
def test_a_failure_tells_exactly_the_parameters_that_it_declares(
    code: FailureCode, language: str
) -> None:
    """A parameter that no sentence uses would be lost to the reader of that language."""
    words = LANGUAGES[language].failures[code]
    used = names(words.text, words.action)
    assert used - EVERYWHERE == set(FACTS[code][1])


@pytest.mark.parametrize("code", FailureCode)
def test_the_languages_say_the_same_of_a_failure(code: FailureCode) -> None:
    """Also sentence by sentence: what the text tells in one language it tells in all."""
    texts = {frozenset(names(words.failures[code].text)) for words in LANGUAGES.values()}
    wholes = {
        frozenset(names(words.failures[code].text, words.failures[code].action))
        for words in LANGUAGES.values()
    }
    assert len(texts) == 1
    assert len(wholes) == 1


def test_actions_for_one_system_exist_in_every_language_and_use_what_is_declared() -> None:
    keys = {frozenset(words.actions_by_system) for words in LANGUAGES.values()}
    assert len(keys) == 1
    for words in LANGUAGES.values():
        for (code, system), action in words.actions_by_system.items():
            assert system in SYSTEMS
            used = names(action, words.failures[code].text)
            assert used - EVERYWHERE == set(FACTS[code][1])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", WarningCode)
def test_a_warning_tells_exactly_the_parameters_that_it_declares(
    code: WarningCode, language: str
) -> None:
    used = names(LANGUAGES[language].warnings[code])
    assert used - {"system"} == set(WARNING_PARAMETERS[code])


@pytest.mark.parametrize("system", ["sparebank1", "dkplus", "", "something else"])
@pytest.mark.parametrize("code", FailureCode)
def test_rendering_leaves_no_brace_and_no_question_mark(code: FailureCode, system: str) -> None:
    rendered = render_all(example(code), system=system, entity_type="invoice", number="1001")
    assert set(rendered) == {"en", "nb", "is"}
    for words in rendered.values():
        told = words.text + " " + words.action
        assert "{" not in told
        assert "}" not in told
        assert "?" not in told.replace("“?”", "").replace("«?»", "").replace("„?“", "")
        assert not words.text[0].islower()
        assert all(f"<{name}>" in told for name in FACTS[code][1])


@pytest.mark.parametrize("code", FailureCode)
def test_missing_parameters_show_as_a_question_mark_and_nothing_raises(code: FailureCode) -> None:
    rendered = render_all(Failure(code=code), system="", entity_type="", number="")
    if FACTS[code][1]:
        assert all("?" in words.text + words.action for words in rendered.values())


@pytest.mark.parametrize("code", WarningCode)
def test_warnings_render_in_every_language(code: WarningCode) -> None:
    full = Notable(code=code, parameters=dict.fromkeys(WARNING_PARAMETERS[code], "7"))
    for language in LANGUAGES:
        assert "{" not in render_warning(full, language=language, system="dkplus")
        assert "{" not in render_warning(Notable(code=code), language=language, system="")


def test_the_entity_and_the_system_are_named_in_the_readers_language() -> None:
    failure = Failure(code=FailureCode.VAT_CODE_UNKNOWN, parameters={"vatCode": "33"})
    told = render_all(failure, system="sparebank1", entity_type="invoice", number="1001")
    assert told["en"].text.startswith("Invoice 1001 was not transferred to SpareBank 1 Regnskap")
    assert told["nb"].text.startswith("Faktura 1001 ble ikke overført til SpareBank 1 Regnskap")
    assert told["is"].text.startswith("Reikningur 1001 fór ekki í SpareBank 1 Regnskap")
    assert all("33" in words.text for words in told.values())


def test_a_dead_parent_is_named_and_the_child_goes_by_itself() -> None:
    failure = Failure(
        code=FailureCode.PARENT_DEAD,
        parameters={
            "parentType": "customer",
            "parentNumber": "100042",
            "parentCode": "customer-number-out-of-range",
        },
    )
    told = render_all(failure, system="dkplus", entity_type="project", number="10023")
    assert "customer 100042" in told["en"].action
    assert "project 10023 goes by itself" in told["en"].action
    assert "kunde 100042" in told["nb"].action
    assert "prosjekt 10023 av seg selv" in told["nb"].action
    assert "viðskiptamaður 100042" in told["is"].action
    assert "verk 10023 þangað af sjálfu sér" in told["is"].action


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_locked_period_names_the_lock_date_as_year_month_day(language: str) -> None:
    failure = Failure(
        code=FailureCode.PERIOD_LOCKED,
        parameters={"lockDate": "2026-02-28", "date": "2026-02-10"},
    )
    told = render(
        failure, language=language, system="sparebank1", entity_type="invoice", number="1"
    )
    assert "2026-02-28" in told.text


def test_the_sources_of_an_item_code_are_translated_word_by_word() -> None:
    failure = Failure(
        code=FailureCode.ITEM_CODE_MISSING,
        parameters={"line": "2", "sources": "productNumber, vatCode"},
    )
    told = render(failure, language="is", system="dkplus", entity_type="invoice", number="1")
    assert "vörunúmer, VSK-kóði" in told.text


def test_an_unknown_language_is_told_in_english() -> None:
    failure = Failure(code=FailureCode.BREAKER_OPEN)
    told = render(failure, language="sv", system="dkplus", entity_type="invoice", number="1")
    assert told == render(failure, language="en", system="dkplus", entity_type="", number="")


def test_braces_within_a_value_are_quoted_and_not_filled_in() -> None:
    failure = Failure(
        code=FailureCode.REFUSED_BY_SYSTEM,
        parameters={"status": "400", "answer": '{"Message":"{status}"}'},
    )
    told = render(failure, language="en", system="dkplus", entity_type="invoice", number="1")
    assert '{"Message":"{status}"}' in told.text


@given(value=st.text(max_size=2000))
def test_no_value_can_break_a_line_or_run_on(value: str) -> None:
    """Texts become headers and mails: no control character, no lone surrogate, no flood."""
    failure = Failure(code=FailureCode.EVENT_UNREADABLE, parameters={"reason": value})
    plain = render(
        Failure(code=FailureCode.EVENT_UNREADABLE),
        language="en",
        system="",
        entity_type="",
        number="",
    )
    told = render(failure, language="en", system=value, entity_type=value, number=value)
    assert told.text.isprintable()
    told.text.encode()
    assert len(told.text) <= len(plain.text) + VALUE_LENGTH_MAX


def test_the_page_of_failures_is_the_generated_one() -> None:
    page = (ROOT / "docs" / "failures.md").read_text(encoding="utf-8")
    assert page == failures_page(), "run: python -m schemas.catalogue.catalogue > docs/failures.md"

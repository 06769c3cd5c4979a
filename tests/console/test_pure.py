"""What pages are made of, without a ledger: languages, ages, the drawing, addresses."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.console import chart
from streams.console.addresses import dead_address, entity_address, letter_address
from streams.console.people import read_people
from streams.console.wording import age, counted, language_for, number
from tests.console.world import NOW
from tests.docs.pages import block


@pytest.mark.parametrize(
    ("asked", "kept", "accepts", "language"),
    [
        (None, None, None, "en"),
        (None, None, "nb-NO,nb;q=0.9,en;q=0.8", "nb"),
        (None, None, "no", "nb"),
        (None, None, "nn-NO, en;q=0.5", "nb"),
        (None, None, "de, fr", "en"),
        (None, None, "en;q=0.2, is;q=0.9", "is"),
        (None, None, "is;q=0, en", "en"),
        (None, None, "is;q=many, nb;q=1", "is"),
        (None, "is", "nb", "is"),
        ("nb", "is", "en", "nb"),
        ("xx", "yy", "is", "is"),
    ],
)
def test_the_language_is_the_readers(
    asked: str | None, kept: str | None, accepts: str | None, language: str
) -> None:
    assert language_for(asked, kept, accepts) == language


@given(st.text())
def test_no_accept_language_breaks_a_page(accepts: str) -> None:
    assert language_for(None, None, accepts) in {"en", "nb", "is"}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3_600, "1 h"),
        (3_660, "1 h 1 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_an_age_has_the_two_units_that_matter(seconds: float, words: str) -> None:
    assert age(seconds) == words


def test_numbers_and_plurals_are_for_people() -> None:
    assert number(1_234_567) == "1\u202f234\u202f567"
    assert (counted(1, "delivery"), counted(2, "delivery")) == ("1 delivery", "2 deliveries")


@given(
    st.dictionaries(
        st.integers(-30, 2),
        st.dictionaries(st.sampled_from(sorted(chart.SERIES)), st.integers(0, 10**7)),
    )
)
def test_the_drawing_holds_every_outcome_of_the_day_and_stays_in_its_frame(
    drawn: dict[int, dict[str, int]],
) -> None:
    hour = int(NOW) // chart.HOUR_S * chart.HOUR_S
    counts = {hour + place * chart.HOUR_S: of for place, of in drawn.items()}
    found = chart.draw(counts, NOW)
    shown = {place: of for place, of in drawn.items() if -24 < place <= 0}
    assert sum(found.totals.values()) == sum(sum(of.values()) for of in shown.values())
    least = chart.LEAST_BAR * len(chart.SERIES)
    for column in found.columns:
        assert len(column.bars) == sum(1 for many in column.counts.values() if many)
        for bar in column.bars:
            assert chart.LEFT <= bar.x <= bar.x + bar.width <= chart.WIDTH
            assert chart.TOP - least <= bar.y <= bar.y + bar.height <= chart.HEIGHT


def test_addresses_hold_whatever_a_name_holds() -> None:
    assert dead_address() == "/console/dead"
    assert dead_address(klass="set-up", code=None, text="a&b=c") == (
        "/console/dead?class=set-up&text=a%26b%3Dc"
    )
    assert letter_address("a/b?c") == "/console/dead/a%2Fb%3Fc"
    assert entity_address("c/1", "invoice/1 2/3") == "/console/story/c%2F1/invoice/1%202%2F3"


def test_the_file_of_people_in_the_docs_is_one(tmp_path: Path) -> None:
    path = tmp_path / "people.toml"
    path.write_text(block("docs/console.md", "people"))
    kari, other = read_people(path)
    assert (kari.name, kari.act, kari.companies) == ("kari", True, None)
    assert (other.act, other.companies) == (False, ["c-1001"])

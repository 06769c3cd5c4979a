"""What is one company's is told to nobody else: outcomes, letters, mails and log of a worker."""

import json
import re

import pytest

from tests.notices.post_office import text_of
from tests.security.planted import mark_of, marks
from tests.security.story import Story

pytestmark = [pytest.mark.kafka, pytest.mark.postgresql]


def test_no_outcome_letter_or_mail_of_a_company_holds_what_is_anothers(story: Story) -> None:
    by_company = {tenant.company: mark_of(tenant) for tenant in story.scene.tenants}
    told = 0
    for outcome in story.scene.wire.told:
        found = marks(f"{outcome.key!r} {outcome.headers!r} {json.dumps(outcome.data)}")
        assert found <= {by_company[outcome.data["company"]]}
        told += len(found)
    assert told > 0, "an answer is quoted"
    assert story.scene.wire.letters
    for letter in story.scene.wire.letters:
        own = by_company[letter.said["company"]]
        assert marks(repr(letter)) == {own}
    by_address = {f"books@{tenant.id}.example": mark_of(tenant) for tenant in story.scene.tenants}
    assert len(story.office.mails) > 2
    for mail in story.office.mails:
        text = f"{mail.items()} {text_of(mail)} {text_of(mail, 'html')}"
        assert marks(text) <= {by_address[str(mail["To"])]}
        ids = {tenant.id for tenant in story.scene.tenants if re.search(rf"{tenant.id}\b", text)}
        assert len(ids) == 1


def test_no_line_of_the_log_is_about_two_companies(story: Story) -> None:
    """Lines of our own; libraries tell whole requests at their lowest level."""
    ours = 0
    for text in story.scene.log.read_text(encoding="utf-8").splitlines():
        line = json.loads(text) if text.startswith("{") else {}
        if line.get("action", "log") not in {"log", "frames", "crashed"}:
            ours += 1
            assert len(marks(text)) <= 1
    assert ours > 0

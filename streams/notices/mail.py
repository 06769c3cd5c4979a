"""A notice as an e-mail: plain text and HTML, with headers that nothing can be put into. Pure."""

import hashlib
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Final

from streams.notices.causes import Cause
from streams.notices.compose import Page, as_html, as_text

NAME: Final = "moment-sync"
_POLICY: Final = SMTP.clone(cte_type="7bit")  # a server may not take 8-bit text
# A subject that just fits into a line is folded before its first word, and read with a blank.
_UNFOLDED: Final = _POLICY.clone(max_line_length=400)


def sender_of(configured: str | None, user: str | None, host: str) -> Address:
    """The sender: as configured, else the SMTP user where it is an address, else of this host."""
    for given in (configured, user):
        name, spec = parseaddr(given or "")
        local, at, domain = spec.rpartition("@")
        if at and local and domain and spec.isprintable():
            return Address(display_name=name or NAME, username=local, domain=_ascii(domain))
    return Address(display_name=NAME, username=NAME, domain=_ascii(host) or "localhost")


def recipient_of(notify: str) -> Address:
    """An integration's `notify`, whose form was checked when the file was read."""
    local, _, domain = notify.rpartition("@")
    return Address(username=local, domain=_ascii(domain))


def message_id(cause: Cause, nth: int, sender: Address, group: str) -> str:
    """The same for every repeat of the n-th mail of a cause, so that repeats can be seen as such.

    `group`: the consumer group, so that two installations do not have the same.
    """
    facts = (group, cause.integration, cause.kind.value, str(cause.cause_pk), str(nth))
    digest = hashlib.sha256("\x1f".join(facts).encode()).hexdigest()[:32]
    return f"<{digest}@{sender.domain}>"


def build(
    page: Page, cause: Cause, *, sender: Address, recipient: Address, group: str, at: datetime
) -> EmailMessage:
    """The whole message. Later mails of a cause refer to its first, so that they stand together."""
    message = EmailMessage(policy=_POLICY)
    message["Subject"] = page.subject
    message["From"] = sender
    message["To"] = recipient
    message["Date"] = format_datetime(at)
    message["Message-ID"] = message_id(cause, cause.mails + 1, sender, group)
    if cause.mails:
        first = message_id(cause, 1, sender, group)
        message["In-Reply-To"] = first
        message["References"] = first
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(as_text(page))
    message.add_alternative(as_html(page), subtype="html")
    message["Content-Language"] = page.language
    if page.subject.isascii():  # else it is written in words of a limited length
        message.policy = _UNFOLDED
    return message


def _ascii(domain: str) -> str:
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return domain

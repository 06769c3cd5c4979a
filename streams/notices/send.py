"""Handing a mail over to the SMTP server. Never raises for what the server or the network does."""

import ipaddress
from email.message import EmailMessage
from typing import Final

import aiosmtplib
import msgspec

from connectors.integrations import Secret
from connectors.redaction import cleared
from connectors.secrets import SecretStore, Unreadable
from streams.setting_values import SmtpServer

TIMEOUT_S: Final = 30.0  # of each exchange with the server
REASON_LENGTH_MAX: Final = 300


class Failed(msgspec.Struct, frozen=True):
    """A mail was not handed over. `only_this`: the server takes others; cleared of secrets."""

    reason: str
    only_this: bool = False


class SmtpPost:
    """One SMTP server. STARTTLS is used where it is offered, and its certificate checked.

    On this machine itself nobody stands in between: there the certificate is not checked, and a
    password may go without TLS, as it never does elsewhere.
    """

    def __init__(self, server: SmtpServer, password_file: str | None, host: str) -> None:
        """`host` is the name of this host, said in the greeting."""
        self._server = server
        self._password = Secret(file=password_file)
        self._secrets = SecretStore({})
        self._host = host

    async def send(self, message: EmailMessage, sender: str, recipient: str) -> Failed | None:
        """Hand over one mail; None when the server has it. Ends within a few times `TIMEOUT_S`."""
        password: str | Unreadable = ""
        if self._server.user is not None:
            password = self._secrets.read(self._password, anew=True)
        if isinstance(password, Unreadable):
            return Failed(f"the password of SMTP: {password.reason}")
        try:
            return await self._send(message, sender, recipient, password)
        except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPNotSupported) as error:
            return _failed(error, password, only_this=True)
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
            return _failed(error, password, only_this=True)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return _failed(error, password, only_this=False)
        except (UnicodeError, ValueError) as error:  # an address that cannot be written down
            return _failed(error, password, only_this=True)

    async def _send(
        self, message: EmailMessage, sender: str, recipient: str, password: str
    ) -> Failed | None:
        here = _is_here(self._server.host)
        client = aiosmtplib.SMTP(
            hostname=self._server.host,
            port=self._server.port,
            local_hostname=self._host,
            timeout=TIMEOUT_S,
            use_tls=False,
            start_tls=None,
            validate_certs=not here,
        )
        async with client:
            if self._server.user is not None:
                if client.get_transport_info("sslcontext") is None and not here:
                    return Failed("the server offers no STARTTLS: the password is not sent openly")
                await client.login(self._server.user, password)
            # As it was built: `send_message` would fold its headers anew.
            await client.sendmail(sender, [recipient], message.as_bytes())
        return None


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _failed(error: Exception, password: str, *, only_this: bool) -> Failed:
    reason = cleared(f"{type(error).__name__}: {error}", (password,))
    return Failed(" ".join(reason.split())[:REASON_LENGTH_MAX], only_this=only_this)

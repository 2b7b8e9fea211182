"""The port to the outside: somebody who takes a letter and brings it where it belongs."""

import asyncio
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Protocol
from uuid import UUID

import aiosmtplib
import structlog

from crm_gateway.mail.letters import Letter
from crm_gateway.mail.settings import SmtpServer

log = structlog.get_logger()

SECONDS = 30.0
"""A server may take so long for a letter, from the first byte to the last."""


class MailerAwayError(Exception):
    """Nobody took the letter just now; worth trying again. Its text names no person."""


class LetterRefusedError(Exception):
    """The letter will never be taken: there is no such mailbox. Its text names no person."""


class Mailer(Protocol):
    """Brings letters to people."""

    async def send(self, mail_id: UUID, letter: Letter) -> None:
        """Have the letter brought; returns once somebody has taken it over.

        The same `mail_id` again is the same letter again. Raises MailerAwayError and
        LetterRefusedError.
        """
        ...


class LoggingMailer:
    """Brings nothing anywhere: developers find what they need in the log."""

    async def send(self, mail_id: UUID, letter: Letter) -> None:
        """Log what it says, links and all."""
        log.info("mail_not_sent", mail_id=str(mail_id), subject=letter.subject, says=letter.text)


class SmtpMailer:
    """Hands letters to a mail server."""

    def __init__(self, server: SmtpServer, sender: Address) -> None:
        self._server = server
        self._sender = sender

    async def send(self, mail_id: UUID, letter: Letter) -> None:
        """Hand it over on a connection of its own.

        What the server says of the recipient or of the letter with 5xx is its last word; with 4xx,
        and of us or of the connection with anything, it is not: a wrong password of ours must lose
        nobody's mail.
        """
        server = self._server
        try:
            async with asyncio.timeout(SECONDS):
                await aiosmtplib.send(
                    self._message(mail_id, letter),
                    hostname=server.host,
                    port=server.port,
                    username=server.user,
                    password=server.password,
                    use_tls=server.security == "tls",
                    start_tls=server.security == "starttls",
                    timeout=SECONDS,
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _judged("recipient", *(refused.code for refused in error.recipients)) from None
        except aiosmtplib.SMTPDataError as error:
            raise _judged("data", error.code) from None
        except aiosmtplib.SMTPNotSupported:
            raise LetterRefusedError("an address the server has no letters for") from None
        except aiosmtplib.SMTPResponseException as error:
            raise MailerAwayError(f"{type(error).__name__} {error.code}") from None
        except ValueError:  # of whoever writes it down as mail
            raise LetterRefusedError("it cannot be written as mail") from None
        except (aiosmtplib.SMTPException, OSError) as error:  # TimeoutError is one of the latter
            raise MailerAwayError(type(error).__name__) from None

    def _message(self, mail_id: UUID, letter: Letter) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        username, _, domain = letter.to.rpartition("@")
        message["To"] = Address(username=username, domain=domain)
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(datetime.now(UTC))
        # A letter that is sent twice, because nobody heard that it was taken, is still one.
        message["Message-ID"] = f"<{mail_id}@{self._sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody is to answer that
        message.set_content(letter.text)
        return message


def _judged(what: str, *codes: int) -> Exception:
    said = f"{what} {'/'.join(map(str, codes))}"
    return LetterRefusedError(said) if min(codes) >= 500 else MailerAwayError(said)

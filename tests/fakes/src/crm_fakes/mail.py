"""A mail server on loopback that keeps what it is given, and fails as it is told."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from crm_fakes.serving import TcpServer

Stage = Literal["MAIL", "RCPT", "DATA"]
DROP = "drop"
"""Cuts the connection instead of answering; at DATA the letter was taken by then."""


@dataclass(frozen=True, slots=True)
class Received:
    """A letter that was taken."""

    recipients: tuple[str, ...]
    encrypted: bool
    user: str | None
    message: EmailMessage

    @property
    def text(self) -> str:
        """What it says."""
        part = self.message.get_body(("plain",))
        return str(part.get_content()) if part is not None else ""


@dataclass
class MailServer(TcpServer):
    """Takes mail like a provider's server; stopping and starting again keeps the port.

    With `tls` it wants STARTTLS, with `user` and `password` a login. `answer(stage, ...)` programs
    its next answers at a stage, such as `"451 4.3.0 later"` or `DROP`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    user: str | None = None
    password: str = ""
    received: list[Received] = field(default_factory=list, init=False)
    _answers: dict[str, deque[str]] = field(default_factory=dict, init=False)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition, init=False)

    def answer(self, stage: Stage, *answers: str) -> None:
        """Give these answers at that stage next, one after the other."""
        self._answers.setdefault(stage, deque()).extend(answers)

    async def wait_for(
        self, wanted: Callable[[Received], bool], *, count: int = 1, timeout: float = 30
    ) -> list[Received]:
        """The letters that are wanted, once there are so many; TimeoutError."""

        def found() -> list[Received]:
            return [letter for letter in self.received if wanted(letter)]

        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: len(found()) >= count)
        return found()

    async def listen(self) -> asyncio.Server:
        """Open the port."""
        return await asyncio.get_running_loop().create_server(self._serve, self.host, self.port)

    def _serve(self) -> SMTP:
        return SMTP(
            self,
            hostname="mail.example.com",
            enable_SMTPUTF8=True,
            tls_context=self.tls,
            require_starttls=self.tls is not None,
            auth_required=self.user is not None,
            auth_require_tls=self.tls is not None,
            authenticator=self._authenticate if self.user is not None else None,
            loop=asyncio.get_running_loop(),
        )

    def _authenticate(self, server: Any, session: Any, envelope: Any, how: str, data: Any) -> Any:
        del server, session, envelope, how
        assert isinstance(data, LoginPassword)
        given = data.login.decode(), data.password.decode()
        return AuthResult(success=given == (self.user, self.password), handled=False)

    def _told(self, server: SMTP, stage: Stage) -> str | None:
        answers = self._answers.get(stage)
        answer = answers.popleft() if answers else None
        if answer == DROP:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return answer

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Hear whom a letter is from."""
        del session
        told = self._told(server, "MAIL")
        if told is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return told or "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Hear whom it is to."""
        del session
        told = self._told(server, "RCPT")
        if told is None:
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return told or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take it."""
        answers = self._answers.get("DATA")
        if not answers or answers[0] == DROP:
            content = envelope.content
            assert isinstance(content, bytes)
            message = message_from_bytes(content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            encrypted = session.ssl is not None
            user = self.user if session.authenticated else None
            self.received.append(Received(tuple(envelope.rcpt_tos), encrypted, user, message))
            async with self._changed:
                self._changed.notify_all()
        return self._told(server, "DATA") or "250 OK"

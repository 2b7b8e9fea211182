"""Mail on its way: kept with what caused it, sent once that is committed.

At least once: a letter is taken off the table after a server took it over, so a process that dies
in between has it sent again, under the same Message-ID. Nothing is sent within a transaction.
"""

import asyncio
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

import orjson
import structlog
from prometheus_client import Counter
from service_kit.database import Database, Transaction
from service_kit.ids import uuid7
from service_kit.sealing import Seal, WrongKeyError

from crm_gateway.mail import repository
from crm_gateway.mail.letters import Letter
from crm_gateway.mail.mailer import SECONDS, LetterRefusedError, Mailer, MailerAwayError
from crm_gateway.mail.models import WaitingMail

log = structlog.get_logger()

MAILS = Counter("crm_mails_total", "Mails, by what became of an attempt to send them", ["outcome"])

_AT_ONCE = 8
_LEASE_SECONDS = 2 * SECONDS
"""Longer than all that are sent at once may take."""
_LOOK_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 900.0


class Post:
    """Keeps letters in the database and hands them to a mailer."""

    def __init__(
        self, database: Database, seal: Seal, mailer: Mailer | None, *, retry_seconds: float
    ) -> None:
        """Without a mailer nothing is kept, and nothing sent."""
        self._database = database
        self._seal = seal
        self._mailer = mailer
        self._retry_seconds = retry_seconds
        self._wake = asyncio.Event()
        self._away: MailerAwayError | None = None

    @property
    def sends(self) -> bool:
        """Whether there is anybody to send mail by."""
        return self._mailer is not None

    async def put(
        self,
        tx: Transaction,
        agent_id: UUID,
        letter: Letter,
        expires_at: datetime,
        *,
        topic: str = "account",
    ) -> None:
        """Have a letter sent to an agent of the transaction's tenant, once it is committed.

        It takes the place of an older one about the same that still waits, and is given up when it
        expires. To somebody who is not there nothing is sent, in the same time.
        """
        if self._mailer is None:
            return
        sealed = self._seal.seal_text(orjson.dumps(asdict(letter)).decode())
        await repository.put(tx, uuid7(), agent_id, topic, sealed, expires_at)
        tx.after_commit(self._wake.set)

    async def run(self) -> None:
        """Send what is due, whoever has put it there; raises when the database is lost."""
        while True:
            self._wake.clear()
            while await self._round():
                pass
            with suppress(TimeoutError):
                async with asyncio.timeout(min(_LOOK_SECONDS, self._retry_seconds)):
                    await self._wake.wait()

    async def check(self) -> None:
        """Raise MailerAwayError when the last attempt found nobody to hand a letter to."""
        if self._away is not None:
            raise self._away

    async def _round(self) -> bool:
        """Send a few; returns whether there may be more."""
        async with self._database.system("mail") as tx:
            if expired := await repository.remove_expired(tx):
                MAILS.labels("expired").inc(expired)
                log.error("mails_expired", count=expired)
            mails = await repository.take(tx, _AT_ONCE, _LEASE_SECONDS)
        if self._mailer is not None:
            await asyncio.gather(*(self._send(self._mailer, mail) for mail in mails))
        return len(mails) == _AT_ONCE

    async def _send(self, mailer: Mailer, mail: WaitingMail) -> None:
        try:
            letter = Letter(**orjson.loads(self._seal.open_text(mail.sealed)))
            await mailer.send(mail.id, letter)
        except MailerAwayError as error:
            self._away = error
            MAILS.labels("postponed").inc()
            log.warning("mail_postponed", mail_id=str(mail.id), reason=str(error))
            pause = self._retry_seconds * 2 ** min(mail.attempts - 1, 10)
            async with self._database.system("mail") as tx:
                await repository.postpone(tx, mail, min(pause, _LONGEST_PAUSE_SECONDS))
            return
        except (LetterRefusedError, WrongKeyError) as error:
            MAILS.labels("refused").inc()
            log.error("mail_refused", mail_id=str(mail.id), reason=str(error))
        else:
            self._away = None
            MAILS.labels("sent").inc()
            log.info("mail_sent", mail_id=str(mail.id))
        async with self._database.system("mail") as tx:
            await repository.remove(tx, [mail.id])

"""Sends challenges to the URLs that must answer one, whichever process lives to do it.

A challenge is sent outside any transaction, and what came of it is noted only if the endpoint is
still the one it was sent to. A process that dies in between leaves it due again.
"""

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn
from uuid import UUID

import aiohttp
import orjson
import structlog
from service_kit.database import Database
from service_kit.dialling import open_session
from service_kit.errors import NotFoundError, PreconditionFailedError
from service_kit.ids import uuid7
from service_kit.rows import Shape
from service_kit.sealing import WrongKeyError
from shared_events.webhooks.endpoint import WebhookChallenge

from crm_webhooks.deliveries.attempt import Dispatch
from crm_webhooks.deliveries.body import write_body
from crm_webhooks.deliveries.destinations import Destination, Destinations
from crm_webhooks.endpoints import verification
from crm_webhooks.endpoints.repository import EndpointRepository

log = structlog.get_logger()

_BACKSTOP_SECONDS = 5.0
_AT_ONCE = 20
# One of each company at a time: whoever has many that hang waits for themselves alone. The bound
# within is for the planner: to find a few in order it takes the index, and reads no other endpoint.
_TAKE = """
UPDATE webhook_endpoints SET challenge_due_at = now() + make_interval(secs => $1)
WHERE challenge_due_at <= now() AND id = ANY(ARRAY(
    SELECT DISTINCT ON (tenant_id) id FROM (
        SELECT id, tenant_id, challenge_due_at FROM webhook_endpoints
        WHERE challenge_due_at <= now() AND NOT deleted
        ORDER BY challenge_due_at LIMIT 100) AS due
    ORDER BY tenant_id, challenge_due_at LIMIT $2))
RETURNING id, tenant_id
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """An endpoint whose URL is to be asked."""

    id: UUID
    tenant_id: str


_ASKED = Shape(_Asked)


class Challenges:
    """The task that sends them."""

    def __init__(
        self,
        database: Database,
        endpoints: EndpointRepository,
        destinations: Destinations,
        dispatch: Dispatch,
    ) -> None:
        self._database = database
        self._endpoints = endpoints
        self._destinations = destinations
        self._dispatch = dispatch
        self._lease_seconds = 2 * dispatch.settings.webhook_timeout_seconds
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is one to send."""
        self._wake.set()

    async def run(self) -> NoReturn:
        """Send until cancelled; what another process left unfinished is found after a while."""
        async with open_session(self._dispatch.egress) as session:
            while True:
                self._wake.clear()
                while await self._round(session):
                    pass
                with suppress(TimeoutError):
                    async with asyncio.timeout(_BACKSTOP_SECONDS):
                        await self._wake.wait()

    async def _round(self, session: aiohttp.ClientSession) -> bool:
        """Ask a few; returns whether there were any."""
        async with self._database.system("deliver") as tx:
            asked = await _ASKED.find(tx, _TAKE, self._lease_seconds, _AT_ONCE)
        await asyncio.gather(*(self._ask(session, one) for one in asked))
        return bool(asked)

    async def _ask(self, session: aiohttp.ClientSession, asked: _Asked) -> None:
        try:
            destination = await self._destinations.read(asked.id)
        except WrongKeyError:
            log.error("endpoint_not_readable", endpoint=str(asked.id))
            return  # asked again for as long as it cannot be read
        if destination is None:
            return
        error = await self._challenge(session, asked, destination)
        with suppress(NotFoundError, PreconditionFailedError):  # it is another one by now
            async with self._database.tenant(asked.tenant_id) as tx:
                endpoint = await self._endpoints.lock(tx, asked.id, destination.version)
                if endpoint.verify == "none":
                    return  # that was said just before we looked
                changes = (
                    verification.answered(endpoint) if error is None else verification.failed(error)
                )
                await self._endpoints.update(tx, asked.id, changes)

    async def _challenge(
        self, session: aiohttp.ClientSession, asked: _Asked, destination: Destination
    ) -> str | None:
        """Ask once; returns why that was no answer."""
        challenge, event_id = secrets.token_urlsafe(32), uuid7()
        data = WebhookChallenge(endpoint_id=asked.id, challenge=challenge)
        body = write_body(
            event_id,
            WebhookChallenge.event_type,
            datetime.now(UTC),
            asked.tenant_id,
            data.model_dump(mode="json"),
        )
        result = await self._dispatch.send(session, destination, str(event_id), body, trace={})
        if result.error is None and not answers(result.excerpt, challenge):
            return "challenge_not_echoed"
        return result.error


def answers(said: str | None, challenge: str) -> bool:
    """Whether this is the challenge, as text or as JSON's `challenge`."""
    text = (said or "").strip()
    try:
        answer = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text == challenge
    if isinstance(answer, dict):
        answer = answer.get("challenge")
    return challenge in (text, answer)

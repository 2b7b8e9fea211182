"""Asking the scratch service: who asks, and what for."""

from typing import Any
from uuid import UUID

import aio_pika
from crm_testing.services import SIGNATURES
from service_kit.database import Database
from service_kit.request_client import RequestClient
from service_kit.signing import HEADER, Signed
from shared_events.requests import Principal, Reply, Request

from crm_scratch.things import (
    OTHER_TENANT,
    TENANT,
    WaitForThing,
)

ME = Principal(tenant_id=TENANT, user_id=UUID(int=1))

ME = Principal(tenant_id=TENANT, user_id=UUID(int=1))
SOMEBODY_ELSE = Principal(tenant_id=OTHER_TENANT, user_id=UUID(int=2))


class LookOutside(WaitForThing, key="scratch.thing.look"):
    """A query whose handler talks to somebody outside."""


async def ask(
    client: RequestClient,
    request: Request[Any],
    *,
    principal: Principal = ME,
    key: str | None = None,
    timeout: float | None = None,
) -> Reply:
    """Ask, and give the answer."""
    return await client.call(
        request, principal=principal, correlation_id="req-1", idempotency_key=key, timeout=timeout
    )


async def things(database: Database) -> int:
    """How many things the tenant has."""
    async with database.tenant(TENANT) as tx:
        return int(await tx.fetchval("SELECT count(*) FROM things"))


def code(reply: Reply) -> tuple[str, str]:
    """Kind and code of the problem a reply must be."""
    assert reply.problem is not None
    return reply.problem.kind, reply.problem.code


def signed(request: Signed) -> aio_pika.Message:
    """A request as it is sent by who has the key."""
    return aio_pika.Message(
        request.body,
        message_id=request.message_id,
        correlation_id=request.correlation_id,
        reply_to=request.reply_to,
        headers={HEADER: SIGNATURES.sign(request)},
    )

"""Carrying out a request, whoever brought it: one transaction, one effect.

A command with an Idempotency-Key is carried out once for that key; one without, once for its call,
however often the broker delivers it.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from shared_events.requests import Reply, Request

from service_kit import inbox
from service_kit.calls import Call, RequestHandler
from service_kit.cause import Cause
from service_kit.database import Database, Transaction
from service_kit.errors import DeadlineError
from service_kit.idempotency import find_reply, store_reply
from service_kit.sealing import Seal

_CONSUMER = "requests"
"""The name under which the inbox knows calls."""


async def carry_out(
    database: Database,
    handler: RequestHandler[Any, Any],
    request: Request[Any],
    call: Call,
    *,
    body: Mapping[str, Any],
    idempotency_key: str | None,
    trace: Mapping[str, str],
    call_id: UUID | None = None,
    seal: Seal | None = None,
) -> Reply:
    """The handler's reply, or the one it gave before to an equal command with the same key.

    `body` is the request as it was sent: what equal means is judged by it. `call_id` is of the bus,
    which may deliver a call again. `seal`: the reply shows a secret and is kept sealed. Raises
    whatever the handler raises, what `find_reply` raises of the key, and DeadlineError for a call
    that was carried out before.
    """
    key = idempotency_key if request.kind == "command" else None
    async with database.tenant(
        call.principal.tenant_id,
        cause=Cause(call.correlation_id, None, trace),
        read_only=request.kind == "query",
    ) as tx:
        if key is not None:
            stored = await find_reply(tx, call, key, request.key, body, seal)
            if stored is not None:
                return stored
        elif request.kind == "command" and call_id is not None:
            await claim(tx, call_id)
        reply = reply_with(await handler(tx, request, call))
        if key is not None:
            await store_reply(tx, call, key, request.key, body, reply, seal)
        return reply


async def claim(tx: Transaction, call_id: UUID) -> None:
    """Take a call, with the transaction; DeadlineError when it was taken before."""
    if not await inbox.claim(tx, _CONSUMER, [call_id]):
        raise DeadlineError("answer_lost", "It was carried out already; its answer was lost.")


def reply_with(value: BaseModel) -> Reply:
    """A value as it travels."""
    return Reply(value=value.model_dump(mode="json"))

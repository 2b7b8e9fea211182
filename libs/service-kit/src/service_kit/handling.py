"""Carrying out a request, whoever brought it: one transaction, one effect per Idempotency-Key."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from shared_events.requests import Reply, Request

from service_kit.calls import Call, RequestHandler
from service_kit.cause import Cause
from service_kit.database import Database
from service_kit.idempotency import find_reply, store_reply


async def carry_out(
    database: Database,
    handler: RequestHandler[Any, Any],
    request: Request[Any],
    call: Call,
    *,
    body: Mapping[str, Any],
    idempotency_key: str | None,
    trace: Mapping[str, str],
) -> Reply:
    """The handler's reply, or the one it gave before to an equal command with the same key.

    `body` is the request as it was sent: what equal means is judged by it. Raises whatever the
    handler raises, and what `find_reply` raises of the key.
    """
    key = idempotency_key if request.kind == "command" else None
    async with database.tenant(
        call.principal.tenant_id,
        cause=Cause(call.correlation_id, None, trace),
        read_only=request.kind == "query",
    ) as tx:
        if key is not None:
            stored = await find_reply(tx, call, key, request.key, body)
            if stored is not None:
                return stored
        reply = reply_with(await handler(tx, request, call))
        if key is not None:
            await store_reply(tx, call, key, request.key, body, reply)
        return reply


def reply_with(value: BaseModel) -> Reply:
    """A value as it travels."""
    return Reply(value=value.model_dump(mode="json"))

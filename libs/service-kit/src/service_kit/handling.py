"""Carrying out a request, whoever brought it: one transaction, one effect.

A command with an Idempotency-Key is carried out once for that key, and refused alike for it; one
without, once for its call, however often the broker delivers it.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from pydantic import BaseModel
from shared_events.requests import Reply, Request

from service_kit import inbox
from service_kit.calls import Call, ExternalHandler, RequestHandler
from service_kit.cause import Cause
from service_kit.database import Database, Transaction
from service_kit.errors import DeadlineError, ProblemError
from service_kit.idempotency import caller_of, find_reply, in_use, store_reply
from service_kit.sealing import Seal

_CONSUMER = "requests"
"""The name under which the inbox knows calls, and keys of what is done elsewhere."""
_KEYS = UUID("3f0d5c1e-8a47-5b0e-9a56-6f2f4f0e7b1d")
_PASSING = frozenset({"unavailable", "timeout", "internal"})
"""Kinds of refusals that say nothing of the command: it may be tried again under the same key."""


class _RefusedError(Exception):
    """The handler refused: what it did is taken back, and its refusal is the answer."""

    def __init__(self, error: ProblemError) -> None:
        super().__init__(str(error))
        self.reply = Reply(problem=error.problem)


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
    which may deliver a call again. `seal`: the reply shows a secret and is kept sealed. With a
    key a refusal is a reply that is kept as well, unless it may pass. Raises whatever else the
    handler raises, what `find_reply` raises of the key, and DeadlineError for a call that was
    carried out before.
    """
    key = idempotency_key if request.kind == "command" else None
    try:
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
            try:
                reply = reply_with(await handler(tx, request, call))
            except ProblemError as error:
                if key is None or _may_pass(error):
                    raise
                raise _RefusedError(error) from error
            if key is not None:
                await store_reply(tx, call, key, request.key, body, reply, seal)
            return reply
    except _RefusedError as refused:
        assert key is not None
        async with database.tenant(call.principal.tenant_id) as tx:
            # Between the two transactions the key was free: who took it then has answered for both.
            stored = await find_reply(tx, call, key, request.key, body, seal)
            if stored is None:
                await store_reply(tx, call, key, request.key, body, refused.reply, seal)
            return stored or refused.reply


async def carry_out_elsewhere(
    database: Database,
    handler: ExternalHandler[Any, Any],
    request: Request[Any],
    call: Call,
    *,
    body: Mapping[str, Any],
    idempotency_key: str | None,
    call_id: UUID | None,
    seal: Seal | None = None,
) -> Reply:
    """As `carry_out`, where the effect is in no transaction of ours: none is open meanwhile.

    The key is taken before and answered for behind. Who dies between, or has no more time, leaves
    it taken: whether there was an effect nobody knows, so it is not repeated under that key.
    """
    if request.kind == "query":
        return reply_with(await handler(request, call))
    tenant_id, key = call.principal.tenant_id, idempotency_key
    key_id = uuid5(_KEYS, f"{tenant_id}/{caller_of(call)}/{key}")
    async with database.tenant(tenant_id) as tx:
        if key is not None:
            stored = await find_reply(tx, call, key, request.key, body, seal)
            if stored is not None:
                return stored
            if not await inbox.claim(tx, _CONSUMER, [key_id]):
                raise in_use()
        elif call_id is not None:
            await claim(tx, call_id)
    try:
        reply = reply_with(await handler(request, call))
    except Exception as error:
        if key is None:
            raise
        if not isinstance(error, ProblemError) or _may_pass(error):
            async with database.tenant(tenant_id) as tx:
                await inbox.release(tx, _CONSUMER, key_id)
            raise
        reply = Reply(problem=error.problem)
    if key is not None:
        async with database.tenant(tenant_id) as tx:
            await store_reply(tx, call, key, request.key, body, reply, seal)
    return reply


def _may_pass(error: ProblemError) -> bool:
    return error.may_come or error.kind in _PASSING


async def claim(tx: Transaction, call_id: UUID) -> None:
    """Take a call, with the transaction; DeadlineError when it was taken before."""
    if not await inbox.claim(tx, _CONSUMER, [call_id]):
        raise DeadlineError("answer_lost", "It was carried out already; its answer was lost.")


def reply_with(value: BaseModel) -> Reply:
    """A value as it travels."""
    return Reply(value=value.model_dump(mode="json"))

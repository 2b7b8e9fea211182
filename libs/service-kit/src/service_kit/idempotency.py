"""A command and its Idempotency-Key: carried out once, answered alike ever after (docs/adr/0003).

The reply is kept in the database of whoever carries the command out, in the transaction of its
effect, by tenant, caller and key. A reply that shows a secret is sealed: it would else be kept in
clear as long as it can be asked for again.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from shared_events.requests import Reply

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError, InvalidError
from service_kit.sealing import Seal, WrongKeyError


async def find_reply(
    tx: Transaction,
    call: Call,
    key: str,
    request_key: str,
    body: Mapping[str, Any],
    seal: Seal | None = None,
) -> Reply | None:
    """The reply stored for this idempotency key, if the command was carried out before.

    Raises InvalidError when the key was used for another request and ConflictError while the
    first one is still running (it holds the lock until it commits), or when it was sealed under a
    key that is gone.
    """
    # What is answered already needs no lock: repetitions must not be in each other's way.
    stored = await _stored(tx, call, key, request_key, body, seal)
    if stored is not None:
        return stored
    free = await tx.fetchval(
        "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))",
        f"{tx.tenant_id}/{caller_of(call)}/{key}",
    )
    if not free:
        raise in_use()
    # The first one may have committed between the look and the lock.
    return await _stored(tx, call, key, request_key, body, seal)


async def _stored(
    tx: Transaction,
    call: Call,
    key: str,
    request_key: str,
    body: Mapping[str, Any],
    seal: Seal | None,
) -> Reply | None:
    row = await tx.fetchrow(
        "SELECT request_hash, reply FROM command_replies"
        " WHERE tenant_id = $1 AND caller = $2 AND idempotency_key = $3",
        tx.tenant_id,
        caller_of(call),
        key,
    )
    if row is None:
        return None
    if row["request_hash"] != _request_hash(request_key, body):
        raise InvalidError(
            "idempotency_key_reused", "This Idempotency-Key was used for a different request."
        )
    try:
        reply = row["reply"] if seal is None else seal.open_text(row["reply"])
    except WrongKeyError:
        raise ConflictError(
            "answer_lost", "It was carried out; what it showed cannot be shown again."
        ) from None
    return Reply.model_validate_json(reply).model_copy(update={"replayed": True})


async def store_reply(
    tx: Transaction,
    call: Call,
    key: str,
    request_key: str,
    body: Mapping[str, Any],
    reply: Reply,
    seal: Seal | None = None,
) -> None:
    """Keep the reply in the transaction of the effect: both exist, or neither."""
    text = reply.model_dump_json()
    await tx.execute(
        "INSERT INTO command_replies (tenant_id, caller, idempotency_key, request_hash, reply)"
        " VALUES ($1, $2, $3, $4, $5)",
        tx.tenant_id,
        caller_of(call),
        key,
        _request_hash(request_key, body),
        # As text within the jsonb, which would put the members of an object in another order.
        text if seal is None else seal.seal_text(text),
    )


def in_use() -> ConflictError:
    """The first request with the key still runs."""
    return ConflictError(
        "idempotency_key_in_use", "The first request with this Idempotency-Key still runs."
    )


def caller_of(call: Call) -> str:
    """Whose keys these are: a person's, or an API key's."""
    return str(call.principal.user_id or call.principal.api_key_id or "")


def _request_hash(request_key: str, body: Mapping[str, Any]) -> str:
    canonical = orjson.dumps([request_key, body], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()

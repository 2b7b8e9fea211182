"""SQL of API keys.

What looks a key up by its hash, before a tenant is known, runs in the scope "login".
"""

import hashlib
from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import (
    ConflictError,
    ExpectedVersion,
    NotFoundError,
    PreconditionFailedError,
)
from service_kit.paging import Order
from service_kit.rows import Rows, Shape
from shared_events.requests import ListQuery, Page
from sqlmodel import select

from crm_gateway.api_keys.models import ApiKeyRow
from crm_gateway.api_keys.schemas import ApiKey

_KEYS = Rows(ApiKeyRow)
_C = _KEYS.table.c
_SHOWN = Shape(ApiKey)
_ALL = select(ApiKeyRow)
_NEWEST_FIRST = Order("api_keys", [(_C.id, UUID)], tenant=_C.tenant_id, descending=True)
_MOST = 100
# Once a minute is often enough to tell an idle key: a write per request would be a write per read.
_USED = """
UPDATE api_keys SET last_used_at = now() WHERE key_hash = $1
AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
"""


def key_hash(key: str) -> str:
    """How a key is kept: with 256 random bits in it a fast hash is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


async def find_by_hash(tx: Transaction, hashed: str) -> ApiKeyRow | None:
    """The key with this hash, in any tenant."""
    return await _KEYS.first(tx, "SELECT * FROM api_keys WHERE key_hash = $1", hashed)


async def mark_used(tx: Transaction, hashed: str) -> None:
    """Note that the key is in use, unless that was noted a moment ago."""
    await tx.execute(_USED, hashed)


async def insert(tx: Transaction, row: ApiKeyRow) -> ApiKey:
    """Keep a new key; raises ConflictError when there are too many."""
    # Locked, or many at once would each find room.
    await tx.execute("SELECT 1 FROM projects WHERE tenant_id = $1 FOR UPDATE", tx.tenant_id)
    count = await tx.fetchval("SELECT count(*) FROM api_keys WHERE tenant_id = $1", tx.tenant_id)
    if count >= _MOST:
        raise ConflictError(
            "too_many_api_keys", f"There are {_MOST} API keys; delete some first.", limit=_MOST
        )
    await _KEYS.insert(tx, [row])
    return await get(tx, row.id)


async def get(tx: Transaction, api_key_id: UUID) -> ApiKey:
    """One key; raises NotFoundError."""
    return shown(await _one(tx, api_key_id, lock=False))


async def lock(tx: Transaction, api_key_id: UUID, expected_version: ExpectedVersion) -> ApiKeyRow:
    """One key that is about to change; raises NotFoundError and PreconditionFailedError."""
    row = await _one(tx, api_key_id, lock=True)
    PreconditionFailedError.check(expected_version, row.version)
    return row


async def page(tx: Transaction, request: ListQuery[ApiKey]) -> Page[ApiKey]:
    """Keys, newest first; raises MalformedError."""
    return await _NEWEST_FIRST.page(tx, _ALL, request, _SHOWN, lambda key: key)


async def replace(tx: Transaction, row: ApiKeyRow, *, prefix: str, hashed: str) -> ApiKey:
    """Give a locked key another secret, as its next version."""
    await tx.execute(
        "UPDATE api_keys SET prefix = $3, key_hash = $4, version = version + 1, updated_at = now()"
        " WHERE tenant_id = $1 AND id = $2",
        tx.tenant_id,
        row.id,
        prefix,
        hashed,
    )
    return await get(tx, row.id)


async def delete(tx: Transaction, row: ApiKeyRow) -> None:
    """Remove a locked key."""
    await tx.execute("DELETE FROM api_keys WHERE tenant_id = $1 AND id = $2", tx.tenant_id, row.id)


async def _one(tx: Transaction, api_key_id: UUID, *, lock: bool) -> ApiKeyRow:
    query = _ALL.where(_C.tenant_id == tx.tenant_id, _C.id == api_key_id)
    row = await _KEYS.first(tx, query.with_for_update() if lock else query)
    if row is None:
        raise NotFoundError("api_key")
    return row


def shown(row: ApiKeyRow) -> ApiKey:
    """The key as it is shown."""
    return ApiKey(**row.model_dump(include=set(ApiKey.model_fields)))

"""SQL of custom roles."""

from collections.abc import Iterable
from uuid import UUID

from asyncpg import UniqueViolationError
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

from crm_gateway.custom_roles.models import RoleRow
from crm_gateway.custom_roles.schemas import Role

_ROLES = Rows(RoleRow)
_C = _ROLES.table.c
_SHOWN = Shape(Role)
_NEWEST_FIRST = Order("roles", [(_C.id, UUID)], tenant=_C.tenant_id, descending=True)
_MOST = 50
_NAMED = """
SELECT * FROM roles WHERE tenant_id = $1 AND (lower(name) = lower($2) OR id::text = lower($2))
ORDER BY id::text = lower($2) DESC LIMIT 1
"""
_SAVE = """
UPDATE roles SET name = $3, permissions = $4, sees = $5, version = version + 1, updated_at = now()
WHERE tenant_id = $1 AND id = $2 RETURNING *
"""


async def named(tx: Transaction, reference: str, *, lock: bool = False) -> Role | None:
    """The role of this name or id; locked it stays as it is until the transaction ends."""
    query = f"{_NAMED} FOR SHARE" if lock else _NAMED
    return await _SHOWN.first(tx, query, tx.tenant_id, reference)


async def granted(tx: Transaction, role_ids: Iterable[UUID]) -> tuple[str, ...]:
    """What these roles grant together, and will until the transaction ends."""
    query = select(RoleRow).where(_C.tenant_id == tx.tenant_id, _C.id.in_(role_ids))
    found = await _ROLES.find(tx, query.order_by(_C.id).with_for_update(read=True))
    return tuple(dict.fromkeys(each for role in found for each in role.permissions))


async def insert(tx: Transaction, row: RoleRow) -> Role:
    """Keep a new role; raises ConflictError for a known name, or when there are too many."""
    # Locked, or many at once would each find room.
    await tx.execute("SELECT 1 FROM projects WHERE tenant_id = $1 FOR UPDATE", tx.tenant_id)
    count = await tx.fetchval("SELECT count(*) FROM roles WHERE tenant_id = $1", tx.tenant_id)
    if count >= _MOST:
        raise ConflictError(
            "too_many_roles", f"There are {_MOST} roles; delete some first.", limit=_MOST
        )
    try:
        await _ROLES.insert(tx, [row])
    except UniqueViolationError:
        raise _known() from None
    return await get(tx, row.id)


async def get(tx: Transaction, role_id: UUID) -> Role:
    """One role; raises NotFoundError."""
    return await _one(tx, role_id, lock=False)


async def lock(tx: Transaction, role_id: UUID, expected_version: ExpectedVersion) -> Role:
    """One role that is about to change; raises NotFoundError and PreconditionFailedError."""
    role = await _one(tx, role_id, lock=True)
    PreconditionFailedError.check(expected_version, role.version)
    return role


async def page(tx: Transaction, request: ListQuery[Role]) -> Page[Role]:
    """Roles, newest first; raises MalformedError."""
    return await _NEWEST_FIRST.page(tx, select(RoleRow), request, _SHOWN, lambda role: role)


async def save(tx: Transaction, role: Role) -> Role:
    """Store a locked role as its next version; raises ConflictError for a known name."""
    try:
        saved = await _SHOWN.first(
            tx, _SAVE, tx.tenant_id, role.id, role.name, role.permissions, role.sees
        )
    except UniqueViolationError:
        raise _known() from None
    if saved is None:
        raise LookupError("the role vanished while locked")
    return saved


async def delete(tx: Transaction, role: Role) -> None:
    """Remove a locked role; raises ConflictError while somebody has it, active or not."""
    has_it = "SELECT count(*) FROM agents WHERE tenant_id = $1 AND role_id = $2"
    agents = await tx.fetchval(has_it, tx.tenant_id, role.id)
    if agents:
        raise ConflictError("role_in_use", "Give who has it another role first.", agents=agents)
    await tx.execute("DELETE FROM roles WHERE tenant_id = $1 AND id = $2", tx.tenant_id, role.id)


async def _one(tx: Transaction, role_id: UUID, *, lock: bool) -> Role:
    query = select(RoleRow).where(_C.tenant_id == tx.tenant_id, _C.id == role_id)
    role = await _SHOWN.first(tx, query.with_for_update() if lock else query)
    if role is None:
        raise NotFoundError("role")
    return role


def _known() -> ConflictError:
    return ConflictError("role_exists", "Another role has this name.")

"""SQL of the audit log."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from service_kit.database import Transaction
from service_kit.ids import uuid7
from service_kit.paging import Order
from service_kit.rows import Rows
from shared_events.requests import Page
from sqlmodel import select

from crm_gateway.audit.models import AuditRow
from crm_gateway.audit.schemas import Actor, AuditEntry, ListAuditLog, Target
from crm_gateway.rest.own import OwnCall

_LOG = Rows(AuditRow)
_C = _LOG.table.c
_NEWEST_FIRST = Order("audit", [(_C.id, UUID)], tenant=_C.tenant_id, descending=True)
_NAMES = {
    "agent": "SELECT coalesce(a.known_as, u.name) FROM agents a"
    " LEFT JOIN users u ON u.id = a.user_id WHERE a.tenant_id = $1 AND a.id = $2",
    "api_key": "SELECT name FROM api_keys WHERE tenant_id = $1 AND id = $2",
}
_SECRETS = ("secret", "token", "key", "password", "headers")
_ADDRESS_LENGTH = 64


async def record(
    tx: Transaction,
    call: OwnCall,
    action: str,
    target_id: UUID | None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    outcome: str = "done",
) -> UUID:
    """Note an act, `<noun>.<verb>`, in the transaction of its effect; returns the entry's id.

    What tells a secret is left out of `before` and `after`.
    """
    who = call.principal
    kind = "agent" if who.api_key_id is None else "api_key"
    actor_id = who.user_id or who.api_key_id
    if actor_id is None:
        raise LookupError("somebody who is nobody")
    row = AuditRow(
        id=uuid7(),
        tenant_id=tx.tenant_id,
        actor_type=kind,
        actor_id=actor_id,
        actor_name=await tx.fetchval(_NAMES[kind], tx.tenant_id, actor_id) or "",
        action=action,
        target_type=action.partition(".")[0],
        target_id=target_id,
        outcome=outcome,
        address=call.address[:_ADDRESS_LENGTH],
        request_id=call.correlation_id,
        before=_without_secrets(before),
        after=_without_secrets(after),
    )
    await _LOG.insert(tx, [row])
    return row.id


async def complete(
    tx: Transaction, entry_id: UUID, target_id: UUID | None, after: Mapping[str, Any]
) -> None:
    """Note that an act was done, and what came of it."""
    await tx.execute(
        "UPDATE audit_log SET outcome = 'done', target_id = $3, after = $4"
        " WHERE tenant_id = $1 AND id = $2",
        tx.tenant_id,
        entry_id,
        target_id,
        _without_secrets(after),
    )


async def withdraw(tx: Transaction, entry_id: UUID) -> None:
    """Note that an act was none: it was refused, or done before."""
    await tx.execute(
        "DELETE FROM audit_log WHERE tenant_id = $1 AND id = $2", tx.tenant_id, entry_id
    )


async def page(tx: Transaction, request: ListAuditLog) -> Page[AuditEntry]:
    """Acts, newest first; raises MalformedError."""
    query = select(AuditRow)
    if request.actor_id is not None:
        query = query.where(_C.actor_id == request.actor_id)
    if request.action is not None:
        query = query.where(_C.action == request.action)
    if request.target_id is not None:
        query = query.where(_C.target_id == request.target_id)
    if request.created_at_gte is not None:
        query = query.where(_C.created_at >= request.created_at_gte)
    if request.created_at_lt is not None:
        query = query.where(_C.created_at < request.created_at_lt)
    return await _NEWEST_FIRST.page(tx, query, request, _LOG, _shown)


async def purge(tx: Transaction, days: int) -> None:
    """Remove what is older than so many days, of all tenants."""
    await tx.execute(
        "DELETE FROM audit_log WHERE created_at < now() - make_interval(days => $1)", days
    )


def _shown(row: AuditRow) -> AuditEntry:
    return AuditEntry.model_validate(
        {
            **row.model_dump(),
            "actor": Actor.model_validate(
                {"type": row.actor_type, "id": row.actor_id, "name": row.actor_name}
            ),
            "target": Target(type=row.target_type, id=row.target_id),
        }
    )


def _without_secrets(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else dict(_kept(value))


def _kept(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if not any(word in name for word in _SECRETS):
            yield name, _without_secrets(item) if isinstance(item, Mapping) else item

"""The audit log of what is done in other services, and how it is read."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import structlog
from service_kit.calls import Call
from service_kit.database import Database, Transaction
from service_kit.errors import UnavailableError
from shared_events.requests import Page, Reply

from crm_gateway.audit import repository
from crm_gateway.audit.schemas import AuditEntry, ListAuditLog
from crm_gateway.problems.errors import judged
from crm_gateway.rest.own import OwnCall, OwnRequests

log = structlog.get_logger()

_MAY_HAVE_HAPPENED = ("timeout", "internal", "unavailable")


def add_to(own: OwnRequests) -> None:
    """What is asked about the audit log."""
    own.answer(ListAuditLog, list_audit_log)


async def list_audit_log(tx: Transaction, request: ListAuditLog, call: Call) -> Page[AuditEntry]:
    """A page of acts."""
    del call
    return await repository.page(tx, request)


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody is about to do: `<noun>.<verb>`, and to what, if that is there already."""

    action: str
    target_id: UUID | None


class Witness(Protocol):
    """Sees what is done."""

    async def watch(self, act: Act, call: OwnCall, do: Callable[[], Awaitable[Reply]]) -> Reply:
        """Have it done."""
        ...


class AuditedActs:
    """Notes what other services are asked to do, whatever becomes of the answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def watch(self, act: Act, call: OwnCall, do: Callable[[], Awaitable[Reply]]) -> Reply:
        """Note the act, have it done, and note what came of it.

        The entry is there before the act: without a database nothing is done, and UnavailableError
        raised. What was refused is no act, and leaves no entry.
        """
        tenant_id = call.principal.tenant_id
        try:
            async with self._database.tenant(tenant_id) as tx:
                entry_id = await repository.record(
                    tx, call, act.action, act.target_id, outcome="unknown"
                )
        except Exception as error:
            raise judged(error) from error
        try:
            reply = await do()
        except UnavailableError:  # nobody was there to ask
            await self._end(tenant_id, entry_id, lambda tx: repository.withdraw(tx, entry_id))
            raise
        if reply.replayed or (reply.problem and reply.problem.kind not in _MAY_HAVE_HAPPENED):
            await self._end(tenant_id, entry_id, lambda tx: repository.withdraw(tx, entry_id))
        elif reply.problem is None:
            value = reply.value or {}
            target_id = act.target_id or _id_of(value)
            await self._end(
                tenant_id,
                entry_id,
                lambda tx: repository.complete(tx, entry_id, target_id, value),
            )
        return reply

    async def _end(
        self, tenant_id: str, entry_id: UUID, say: Callable[[Transaction], Awaitable[None]]
    ) -> None:
        try:
            async with self._database.tenant(tenant_id) as tx:
                await say(tx)
        except Exception as error:  # it is done, and the entry says that it was begun
            log.warning("audit_incomplete", entry_id=str(entry_id), error=repr(error))


def _id_of(value: Mapping[str, Any]) -> UUID | None:
    return UUID(value["id"]) if "id" in value else None

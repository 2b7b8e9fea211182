"""Who erases when, and the certificate that grows of it (docs/adr/0022).

First those who tell of people, then webhooks, which keeps what was told; at last contacts, whose
outbox told the others whom to look for. So nothing of the person is told after it was erased.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from service_kit.database import Transaction
from service_kit.erasing import Erasures
from service_kit.incoming import Event
from shared_events.contacts.erasure import ErasureStarted
from shared_events.erasing import ErasureReport
from shared_events.services import CHANNELS, CONTACTS, GATEWAY, MESSAGING, SERVICES, WEBHOOKS

from crm_contacts.erasures import repository
from crm_contacts.erasures.models import Erasure

_FIRST, _SECOND = (MESSAGING.name, CHANNELS.name, GATEWAY.name), (WEBHOOKS.name,)
_MOST_AGGREGATES = 1000
_REPORTERS = {f"erasure.done_by_{service.noun}": service.name for service in SERVICES}


def begin(tx: Transaction, erasure: Erasure) -> Erasure:
    """Tell those who go first."""
    return _tell(tx, erasure, _FIRST)


class Stages:
    """Hears what services report; `own` carries out this service's part."""

    def __init__(self, own: Erasures) -> None:
        self._own = own

    async def on_reported(self, tx: Transaction, events: Sequence[Event[ErasureReport]]) -> None:
        """Note what was erased where, and have the next ones begin, or end it."""
        found = await repository.lock_many(tx, [(e.tenant_id, e.data.erasure_id) for e in events])
        own = []
        for event in events:
            key = event.tenant_id, event.data.erasure_id
            erasure = found.get(key)
            if erasure is None or erasure.state != "running":
                continue
            told = _note(erasure, event.data)
            waiting = {name for name in told.services if not told.services[name].get("done_at")}
            if waiting == {CONTACTS.name} and _SECOND[0] not in told.services:
                told = _tell(tx, told, _SECOND)
            elif waiting == {CONTACTS.name}:
                own.append((event.tenant_id, _started(told, (CONTACTS.name,)), event.cause))
            elif not waiting:
                told = told.model_copy(
                    update={"state": "done", "done_at": datetime.now(UTC), "traces": {}}
                )
            found[key] = told
        await self._own.begin(tx, own)
        await repository.ERASURES.update(tx, found.values())


def _note(erasure: Erasure, report: ErasureReport) -> Erasure:
    """The erasure with what a service says; it adds to what was erased before."""
    name = _REPORTERS[report.event_type]
    counts: dict[str, int] = dict(erasure.services.get(name, {}).get("erased", {}))
    for table, count in report.erased.items():
        counts[table] = counts.get(table, 0) + count
    told: dict[str, Any] = {"done_at": datetime.now(UTC).isoformat(), "erased": counts}
    aggregates = [*erasure.traces.get("aggregates", ()), *map(str, report.aggregates)]
    return erasure.model_copy(
        update={
            "services": {**erasure.services, name: told},
            "traces": {**erasure.traces, "aggregates": aggregates[:_MOST_AGGREGATES]},
            "version": erasure.version + 1,
        }
    )


def _tell(tx: Transaction, erasure: Erasure, services: Sequence[str]) -> Erasure:
    started = _started(erasure, services)
    tx.outbox.add(started, erasure.contact_id, tenant_id=erasure.tenant_id)
    return erasure.model_copy(
        update={"services": {**erasure.services, **{name: {} for name in services}}}
    )


def _started(erasure: Erasure, services: Sequence[str]) -> ErasureStarted:
    return ErasureStarted.model_validate(
        {
            "erasure_id": erasure.id,
            "contact_id": erasure.contact_id,
            "services": services,
            "erased_at": erasure.approved_at,
            **erasure.traces,
        }
    )

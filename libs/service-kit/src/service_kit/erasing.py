"""Forgetting a person: what a service does once it is told of an erasure (docs/adr/0022).

The event is written down as a task in the transaction that hears it. A standing task works the
tasks off in passes, each a walk through the service's tables in small transactions: a crash costs
one of them. An erasure is done after a pass that found nothing, once what was on its way when it
began has arrived. Then what was searched by is forgotten as well, and the service says so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from shared_events import topology
from shared_events.contacts.erasure import ErasureStarted
from shared_events.erasing import ErasureReport
from shared_events.identity import WhatsAppId, chats_of, spellings

from service_kit import dead_letters
from service_kit.bus import BROKER_ERRORS
from service_kit.cause import Cause
from service_kit.database import Database, Transaction
from service_kit.incoming import Event
from service_kit.rows import Shape
from service_kit.service import Service

log = structlog.get_logger()

_SCOPE = "erase"
_BATCH = 1000
_WINDOW = 20_000
_IDLE_SECONDS = 10.0
"""Who hears of an erasure wakes its own process; the others look now and then."""
_AGAIN_SECONDS = 1.0
_LEASE_SECONDS = 300.0
_LETTERS = 10_000
_TRACES = {"identities", "aggregates", "merged"}

_ADD = """
INSERT INTO erasure_tasks (tenant_id, erasure_id, contact_id, traces, erased_at,
    correlation_id, causation_id)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::jsonb[], $5::timestamptz[],
    $6::text[], $7::uuid[])
ON CONFLICT (tenant_id, erasure_id) DO NOTHING
"""
# Claimed by moving its next turn: a process that dies in it costs a wait, nothing else.
_CLAIM = """
UPDATE erasure_tasks SET next_at = now() + make_interval(secs => $1)
WHERE (tenant_id, erasure_id) = (
    SELECT tenant_id, erasure_id FROM erasure_tasks WHERE done_at IS NULL AND next_at <= now()
    ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *, now() >= created_at + make_interval(secs => $2) AS settled
"""
_NOTE = """
UPDATE erasure_tasks SET erased = erased
    || jsonb_build_object($3::text, coalesce((erased ->> $3)::bigint, 0) + $4::bigint)
WHERE tenant_id = $1 AND erasure_id = $2
"""
_LATER = """
UPDATE erasure_tasks SET next_at = now() + make_interval(secs => $3)
WHERE tenant_id = $1 AND erasure_id = $2 AND done_at IS NULL
"""
_DONE = """
UPDATE erasure_tasks SET done_at = now(), traces = '{}'
WHERE tenant_id = $1 AND erasure_id = $2 AND done_at IS NULL
RETURNING erased
"""
# What is still to be published is left: it is told, and erased where it arrives.
_OUTBOX = """
DELETE FROM outbox_events WHERE tenant_id = $1 AND seq > $2 AND seq <= $3
    AND (processed_at IS NOT NULL OR failed_at IS NOT NULL) AND payload::text LIKE ANY($4::text[])
"""
_WAITING = """
SELECT true FROM outbox_events WHERE tenant_id = $1 AND processed_at IS NULL AND failed_at IS NULL
    AND payload::text LIKE ANY($2::text[]) LIMIT 1
"""
_REPLIES = """
DELETE FROM command_replies WHERE tenant_id = $1 AND reply::text LIKE ANY($3::text[])
    AND ctid = ANY(ARRAY(SELECT ctid FROM command_replies
        WHERE tenant_id = $1 AND reply::text LIKE ANY($3::text[]) LIMIT $2))
"""


@dataclass(frozen=True, slots=True)
class _Task:
    """An erasure as it was told, and how far it is."""

    tenant_id: str
    erasure_id: UUID
    contact_id: UUID
    traces: Mapping[str, Any]
    erased_at: datetime
    correlation_id: str | None
    causation_id: UUID | None
    settled: bool


_TASKS = Shape(_Task)


class Pass:
    """One walk through a service's tables, looking for one person."""

    def __init__(self, database: Database, task: _Task) -> None:
        self.tenant_id, self.contact_id = task.tenant_id, task.contact_id
        self.contacts = [task.contact_id, *map(UUID, task.traces["merged"])]
        self.erased_at = task.erased_at
        self.identities = [WhatsAppId(i["kind"], i["value"]) for i in task.traces["identities"]]
        self.aggregates = [UUID(aggregate) for aggregate in task.traces["aggregates"]]
        self.found = 0
        self._database, self._task = database, task

    @property
    def traces(self) -> list[str]:
        """What texts about the person contain: one of its ids, or a number in any spelling."""
        return [*map(str, self.contacts), *self.numbers]

    @property
    def numbers(self) -> list[str]:
        """The person's numbers as WhatsApp's bodies have them, in any spelling."""
        return sorted({one for identity in self.identities for one in spellings(identity)})

    @property
    def chats(self) -> list[str]:
        """The chats with the person, in any spelling."""
        return sorted(chat for identity in self.identities for chat in chats_of(identity))

    @property
    def patterns(self) -> list[str]:
        """`traces` for LIKE; none of them holds a wildcard."""
        return [f"%{trace}%" for trace in self.traces]

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction for the person's company; `note` in it what it erases."""
        return self._database.tenant(self.tenant_id)

    async def erase(self, table: str, statement: str, *values: Any) -> None:
        """Repeat a statement until it touches fewer rows than it may: $1 is the tenant, $2 that."""
        touched = _BATCH
        while touched == _BATCH:
            async with self._database.tenant(self.tenant_id) as tx:
                touched = await tx.execute(statement, self.tenant_id, _BATCH, *values)
                await self.note(tx, table, touched)

    async def walk(
        self,
        table: str,
        key: str,
        statement: str,
        *values: Any,
        step: int | timedelta = _WINDOW,
    ) -> None:
        """Take a statement through a table no index of which helps, a part of it at a time.

        `key` is an index; $1 is the tenant, and the part lies behind $2, up to $3.
        """
        ends = f"SELECT min({key}) AS first, max({key}) AS last FROM {table} WHERE tenant_id = $1"  # noqa: S608
        async with self._database.tenant(self.tenant_id, read_only=True) as tx:
            found = await tx.fetchrow(ends, self.tenant_id)
        if found is None or found["first"] is None:
            return
        at, last = found["first"] - step, found["last"]
        while at < last:
            async with self._database.tenant(self.tenant_id) as tx:
                touched = await tx.execute(statement, self.tenant_id, at, at + step, *values)
                await self.note(tx, table, touched)
            at += step

    async def note(self, tx: Transaction, what: str, count: int) -> None:
        """So many were erased, in the transaction that did it: the certificate says it."""
        if count:
            self.found += count
            await tx.execute(_NOTE, self.tenant_id, self._task.erasure_id, what, count)


Erase = Callable[[Pass], Awaitable[None]]
"""Looks through a service's own tables once."""

Aggregates = Callable[[Transaction, Pass], Awaitable[Sequence[UUID]]]
"""The aggregates whose events are of the person alone, and do not say so."""


class Erasures:
    """Hears of erasures and carries out this service's part."""

    def __init__(
        self,
        service: Service,
        report: type[ErasureReport],
        erase: Erase,
        aggregates: Aggregates | None = None,
    ) -> None:
        self._service, self._database = service, service.database
        self._report, self._erase, self._aggregates = report, erase, aggregates
        self._settle_seconds = service.settings.erasure_settle_seconds
        self._wake = asyncio.Event()
        service.background("erasures", self.run)

    async def on_started(self, tx: Transaction, events: Sequence[Event[ErasureStarted]]) -> None:
        """Note what is to be erased here; `run` does it."""
        ours = [e for e in events if self._service.name.name in e.data.services]
        await self.begin(tx, [(e.tenant_id, e.data, e.cause) for e in ours])

    async def begin(
        self, tx: Transaction, erasures: Sequence[tuple[str, ErasureStarted, Cause]]
    ) -> None:
        """Note that these, each with its tenant and its cause, are to be carried out here."""
        if erasures:
            tx.after_commit(self._wake.set)
            await tx.execute(
                _ADD,
                [tenant_id for tenant_id, _, _ in erasures],
                [started.erasure_id for _, started, _ in erasures],
                [started.contact_id for _, started, _ in erasures],
                [started.model_dump(mode="json", include=_TRACES) for _, started, _ in erasures],
                [started.erased_at for _, started, _ in erasures],
                [cause.correlation_id for _, _, cause in erasures],
                [cause.causation_id for _, _, cause in erasures],
            )

    async def run(self) -> None:
        """Work off what is due, for ever."""
        while True:
            self._wake.clear()
            busy = False
            while await self.work():
                busy = True
            with suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_SECONDS if busy else _IDLE_SECONDS):
                    await self._wake.wait()

    async def work(self) -> bool:
        """Make one pass of the erasure that waits longest; False when none is due."""
        async with self._database.system(_SCOPE) as tx:
            task = await _TASKS.first(tx, _CLAIM, _LEASE_SECONDS, self._settle_seconds)
        if task is None:
            return False
        one = Pass(self._database, task)
        await self._erase(one)
        await one.walk("outbox_events", "seq", _OUTBOX, one.patterns)
        await one.erase("command_replies", _REPLIES, one.patterns)
        letters_gone = await self._erase_letters(one)
        async with self._database.tenant(task.tenant_id) as tx:
            waiting = await tx.fetchval(_WAITING, task.tenant_id, one.patterns)
            if task.settled and letters_gone and not one.found and not waiting:
                await self._tell(tx, task, one)
            else:
                pause = _AGAIN_SECONDS if task.settled else self._settle_seconds
                await tx.execute(_LATER, task.tenant_id, task.erasure_id, 0 if one.found else pause)
        return True

    async def _tell(self, tx: Transaction, task: _Task, one: Pass) -> None:
        aggregates = await self._aggregates(tx, one) if self._aggregates else ()
        erased = await tx.fetchval(_DONE, task.tenant_id, task.erasure_id)
        if erased is None:
            return
        report = self._report(
            erasure_id=task.erasure_id,
            contact_id=task.contact_id,
            erased=erased,
            aggregates=list(aggregates)[:1000],
        )
        tx.outbox.add(
            report, task.contact_id, cause=Cause(task.correlation_id, task.causation_id, {})
        )

    async def _erase_letters(self, one: Pass) -> bool:
        """Drop the dead letters about the person; False while the broker is away."""
        traces = [trace.encode() for trace in one.traces]

        def wanted(letter: dead_letters.Letter) -> bool:
            body = letter.taken.body
            return letter.tenant_id == one.tenant_id and any(trace in body for trace in traces)

        for queue in topology.queues_of(self._service.name):
            try:
                dropped = await dead_letters.drop(self._service.settings, queue, wanted, _LETTERS)
            except BROKER_ERRORS as error:
                log.warning("erasure_waits_for_broker", queue=queue.name, error=repr(error))
                return False
            async with self._database.tenant(one.tenant_id) as tx:
                await one.note(tx, queue.dead_letters.name, len(dropped))
        return True

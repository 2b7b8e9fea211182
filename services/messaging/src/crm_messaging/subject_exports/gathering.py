"""Gathering what was said with a person: a page at a time, each a transaction with how far it is.

A process that dies leaves nothing half done, and memory holds a page, however much was said.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import cast

import orjson
from service_kit.cause import Cause
from service_kit.database import Database, Transaction
from service_kit.incoming import Event
from shared_events.contacts.subject_export import SubjectExportStarted
from shared_events.messaging.subject_export import SubjectMessagesFile, SubjectMessagesGathered

from crm_messaging.subject_exports import repository, sections
from crm_messaging.subject_exports.models import SubjectExport, SubjectExportPart
from crm_messaging.subject_exports.repository import Claim

_LOOK_SECONDS = 5.0
_LEAST_PAUSE, _MOST_PAUSE = 0.01, 2.0
_TENTHS = 10


class Gathering:
    """Hears of subject exports and gathers for them, in any number of processes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wake = asyncio.Event()

    async def on_started(
        self, tx: Transaction, events: Sequence[Event[SubjectExportStarted]]
    ) -> None:
        """Note what is to be gathered; `run` does it."""
        now = datetime.now(UTC)
        tx.after_commit(self._wake.set)
        await repository.add(
            tx,
            [
                SubjectExport(
                    tenant_id=event.tenant_id,
                    export_id=event.data.export_id,
                    contact_id=event.data.contact_id,
                    file=sections.FILES[0],
                    correlation_id=event.cause.correlation_id,
                    causation_id=event.cause.causation_id,
                    due_at=now,
                    expires_at=event.data.expires_at,
                )
                for event in events
            ],
        )

    async def run(self) -> None:
        """Gather for whatever waits, for ever."""
        while True:
            self._wake.clear()
            began = time.monotonic()
            while await self.work():
                # As long a pause as the work took: those who wait for an answer come first.
                took = time.monotonic() - began
                await asyncio.sleep(min(max(took, _LEAST_PAUSE), _MOST_PAUSE))
                began = time.monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._wake.wait()

    async def work(self) -> bool:
        """Gather the next page for the export that has waited longest; False when none waits."""
        async with self._database.system("gather") as tx:
            claim = await repository.claim(tx)
        if claim is None:
            return False
        cause = Cause(claim.correlation_id, claim.causation_id, {})
        async with self._database.tenant(claim.tenant_id, cause=cause) as tx:
            await _gather(tx, claim)
        return True


async def _gather(tx: Transaction, claim: Claim) -> None:
    before = await repository.lock(tx, claim.export_id)
    if before is None or before.file is None:  # erased, or another was faster
        return
    total = before.total
    if total is None:
        total = await sections.count(tx, before.contact_id)
    file = cast(SubjectMessagesFile, before.file)
    found = await sections.read(tx, file, before.contact_id, before.cursor)
    done = before.done + len(found.entries)
    after = before.model_copy(
        update={
            "file": file if found.cursor is not None else _next(file),
            "cursor": found.cursor,
            "position": before.position + 1,
            "done": done,
            "total": total,
            "due_at": datetime.now(UTC),
        }
    )
    files = {before.file: found.entries, "media": found.media}
    await repository.save(tx, after, list(_parts(before, files)))
    if after.file is None or _tenth(after) != _tenth(before):
        complete = after.file is None
        tx.outbox.add(
            SubjectMessagesGathered(
                export_id=after.export_id,
                contact_id=after.contact_id,
                done=done,
                total=done if complete else total,
                complete=complete,
            ),
            after.contact_id,
        )


def _parts(
    export: SubjectExport, files: dict[str, Sequence[sections.Entry]]
) -> Iterable[SubjectExportPart]:
    for file, entries in files.items():
        if entries:
            yield SubjectExportPart(
                tenant_id=export.tenant_id,
                export_id=export.export_id,
                file=file,
                position=export.position,
                content=b"".join(orjson.dumps(entry) + b"\n" for entry in entries),
                expires_at=export.expires_at,
            )


def _next(file: SubjectMessagesFile) -> SubjectMessagesFile | None:
    place = sections.FILES.index(file) + 1
    return sections.FILES[place] if place < len(sections.FILES) else None


def _tenth(export: SubjectExport) -> int:
    return export.done * _TENTHS // export.total if export.total else 0

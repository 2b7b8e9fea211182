"""An import as a job: its file is read into batches of rows, then these become contacts.

Read once, because a batch could not be found again in a file without reading all before it. What
was uploaded, the rows that wait and the errors are pieces in `job_parts`; the file is put together
on the disk while it is read, and neither is ever in memory as a whole.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import count, islice
from tempfile import TemporaryFile
from typing import BinaryIO

import orjson
from service_kit.database import Database, Transaction
from service_kit.errors import InvalidError
from service_kit.jobs import pace
from service_kit.jobs.states import COMPLETED, QUEUED, RUNNING
from shared_events.contacts.contact_import import MAX_ROWS, ContactImport, ImportProgressed
from shared_events.identity import WhatsAppId

from crm_contacts.contacts.phone import parse_phone
from crm_contacts.custom_fields import repository as definitions
from crm_contacts.imports import lookups, reading, upsert
from crm_contacts.imports.columns import targets
from crm_contacts.imports.reading import Row
from crm_contacts.imports.wanted import Reader, RowError, Wanted
from crm_contacts.jobs import csv_text, progress, repository
from crm_contacts.jobs.models import Job

KIND = "import"
BATCH_ROWS = 100
"""So many that statements cost little a row, so few that nobody waits long behind a batch."""
_PAGE = 10
"""Batches that are read and written down together."""
UPLOAD, ROWS, ERRORS = "upload", "rows", "errors"
_HELD = timedelta(days=30)
"""How long rows wait for a job that is held."""
_HEADER = 255


class Imports:
    """What is particular to imports.

    Phones without country code are of `region`; a job that has ended is `kept` for so long.
    """

    def __init__(self, region: str, kept: timedelta) -> None:
        self._region = region
        self._kept = kept
        # Of an XLSX file the texts that cells share are in memory: one file at a time is enough.
        self._reading = asyncio.Semaphore(1)

    def tell(self, job: Job) -> ImportProgressed:
        """How far it is."""
        return ImportProgressed(job=to_resource(job))

    async def prepare(self, database: Database, job: Job) -> None:
        """Read the file. Pieces that were written before it was interrupted are written again.

        Raises InvalidError for a file that cannot be imported.
        """
        async with self._reading:
            with TemporaryFile() as file:
                await _fetch(database, job, file)
                rows = reading.read(file)
                first = await asyncio.to_thread(next, rows, None)
                if first is None:
                    raise InvalidError("empty_file", "There is nothing in the file.")
                headers = [cell[:_HEADER] for cell in first.cells]
                found = await self._targets(database, job, headers)
                total = await _store(database, job, rows)
        async with database.tenant(job.tenant_id) as tx:
            before = await repository.lock(tx, KIND, job.id)
            if before is None or before.state != QUEUED:
                return
            options = {**before.options, "headers": headers, "targets": found}
            state = RUNNING if total else COMPLETED
            read = {"options": options, "total": total, "state": state}
            await repository.drop(tx, job.id, UPLOAD)
            await progress.save(tx, before, before.model_copy(update=read), self.tell)

    async def batch(self, tx: Transaction, job: Job) -> Job:
        """Import the next rows; raises InvalidError when they were kept for too long."""
        content = await repository.take(tx, job.id, ROWS, job.position)
        if content is None:
            raise InvalidError("rows_expired", "It was held for too long; its rows are gone.")
        rows = [Row(line, cells) for line, cells in orjson.loads(content)]
        await lookups.take_lane(tx)
        reader = await self._reader(tx, job)
        wanted, errors = list[Wanted](), list[RowError]()
        async for some in pace.slices(rows):
            reader.read(some, wanted, errors)
        key, dry_run = job.options["upsert_key"], job.options["dry_run"]
        outcome = await upsert.apply(tx, wanted, reader, key, dry_run=dry_run)
        errors += outcome.errors
        if errors:
            text = csv_text.lines(_lines(errors)).encode()
            # They go with the job: once it has ended, which is before its rows are gone.
            kept = _HELD + self._kept
            await repository.put(
                tx, [repository.part(tx, job.id, ERRORS, job.position, text, kept)]
            )
        await repository.drop(tx, job.id, ROWS, job.position)
        done = job.done + len(rows)
        counts = {
            name: job.counts.get(name, 0) + getattr(outcome, name)
            for name in ("created", "updated", "unchanged")
        }
        return job.model_copy(
            update={
                "done": done,
                "counts": counts,
                "errors": job.errors + len({error.line for error in errors}),
                "position": job.position + 1,
                "state": COMPLETED if done >= (job.total or 0) else RUNNING,
            }
        )

    async def _targets(
        self, database: Database, job: Job, headers: Sequence[str]
    ) -> list[str | None]:
        async with database.tenant(job.tenant_id, read_only=True) as tx:
            defined = await definitions.all_of(tx)
        found = targets(headers, job.options["mapping"], defined)
        if job.options["upsert_key"] not in found:
            raise InvalidError("key_column_missing", "No column holds what rows are found by.")
        return found

    async def _reader(self, tx: Transaction, job: Job) -> Reader:
        defined = {one.key: one for one in await definitions.all_of(tx)}
        return Reader(job.options["headers"], job.options["targets"], defined, self._phone_of)

    def _phone_of(self, typed: str) -> WhatsAppId:
        return parse_phone(typed, self._region)


def to_resource(job: Job) -> ContactImport:
    """An import as customers see it."""
    pairs = zip(job.options.get("headers", ()), job.options.get("targets", ()), strict=True)
    return ContactImport.model_validate(
        {
            **job.model_dump(include=set(ContactImport.model_fields)),
            **{name: job.options[name] for name in ("filename", "upsert_key", "dry_run")},
            **job.counts,
            "failure": job.failure or None,
            "ignored_columns": [header for header, target in pairs if target is None],
        }
    )


async def _fetch(database: Database, job: Job, file: BinaryIO) -> None:
    """Put the pieces that were uploaded together."""
    async with database.tenant(job.tenant_id, read_only=True) as tx:
        for position in count():
            part = await repository.take(tx, job.id, UPLOAD, position)
            if part is None:
                return
            file.write(part)


async def _store(database: Database, job: Job, rows: Iterator[Row]) -> int:
    """Write the rows down, some batches at a time; returns how many there are."""
    total = position = 0
    batches = reading.in_batches(rows, BATCH_ROWS)
    began = time.monotonic()
    while page := await asyncio.to_thread(lambda: list(islice(batches, _PAGE))):
        total += sum(map(len, page))
        if total > MAX_ROWS:
            raise InvalidError(
                "too_many_rows", f"A file may have at most {MAX_ROWS} rows.", limit=MAX_ROWS
            )
        contents = [orjson.dumps([(row.line, row.cells) for row in batch]) for batch in page]
        async with database.tenant(job.tenant_id) as tx:
            parts = (
                repository.part(tx, job.id, ROWS, at, content, _HELD)
                for at, content in enumerate(contents, start=position)
            )
            await repository.put(tx, list(parts))
        position += len(page)
        await pace.give_way(time.monotonic() - began)
        began = time.monotonic()
    return total


def _lines(errors: Sequence[RowError]) -> list[list[str]]:
    ordered = sorted(errors, key=lambda error: error.line)
    return [[str(e.line), e.column, e.code, e.message] for e in ordered]

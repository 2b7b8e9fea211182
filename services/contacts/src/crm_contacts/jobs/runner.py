"""Working on a job, a batch at a time, whoever asks for it: a workflow, or the process itself.

A batch and how far the job is with it are one transaction under the job's lock. So a process that
dies in the middle leaves nothing half done, and two that work on one job do nothing twice.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

import structlog
from service_kit.cause import Cause
from service_kit.database import Database, Transaction, is_busy, is_infrastructure
from service_kit.errors import ProblemError
from service_kit.jobs import pace
from service_kit.jobs.schemas import JobRef
from service_kit.jobs.states import ENDED, QUEUED, RUNNING
from shared_events.envelope import EventData

from crm_contacts.jobs import progress, repository
from crm_contacts.jobs.models import Job
from crm_contacts.jobs.progress import Tell, failed

log = structlog.get_logger()


_RELAY_SECONDS = 0.05
"""After so long the relay may have caught up."""


class _Went(Enum):
    """What came of trying to do a batch."""

    FURTHER = auto()
    NOWHERE = auto()
    TO_THE_END = auto()


class Kind(Protocol):
    """What is particular to a kind of jobs."""

    async def prepare(self, database: Database, job: Job) -> None:
        """Make a queued job ready to run, or fail; in transactions of its own, and repeatable."""

    async def batch(self, tx: Transaction, job: Job) -> Job:
        """Do the next batch of a running job; returns it as it is then.

        One that has nothing to do until others have done their part is returned itself.
        """
        ...

    def tell(self, job: Job) -> EventData:
        """What is told of it."""
        ...


@dataclass(frozen=True, slots=True)
class Runner:
    """Works on jobs of these kinds."""

    database: Database
    kinds: Mapping[str, Kind]

    async def advance(
        self, ref: JobRef, seconds: float = 20.0, is_over: Callable[[], bool] = bool
    ) -> bool:
        """Work on a job for so long, or until `is_over`; whether there is more to do.

        Raises what a dependency that is away raises: worth trying again. Whatever else goes wrong
        is the end of the job.
        """
        kind = self.kinds[ref.kind]
        until = time.monotonic() + seconds
        try:
            job = await self._prepared(ref, kind)
            if job is None:
                return False
            cause = Cause(job.correlation_id)
            while time.monotonic() < until and not is_over():
                began = time.monotonic()
                match await self._batch(ref, kind, cause):
                    case _Went.FURTHER:
                        await pace.give_way(time.monotonic() - began)
                    case _Went.NOWHERE:
                        await asyncio.sleep(_RELAY_SECONDS)
                    case _Went.TO_THE_END:
                        return False
        except Exception as error:
            if is_infrastructure(error) or is_busy(error) or isinstance(error, TimeoutError):
                raise
            await self._give_up(ref, kind.tell, error)
            return False
        return True

    async def _prepared(self, ref: JobRef, kind: Kind) -> Job | None:
        """The job, once it can run; None when it cannot."""
        job = await self._find(ref)
        if job is not None and job.state == QUEUED:
            await kind.prepare(self.database, job)
            job = await self._find(ref)
        return job if job is not None and job.state == RUNNING else None

    async def _find(self, ref: JobRef) -> Job | None:
        async with self.database.tenant(ref.tenant_id, read_only=True) as tx:
            return await repository.find(tx, ref.kind, ref.id)

    async def _batch(self, ref: JobRef, kind: Kind, cause: Cause) -> _Went:
        """Do a batch, unless the job was held or ended meanwhile, or goes faster than its events.

        The bus is everybody's.
        """
        async with self.database.tenant(ref.tenant_id, cause=cause) as tx:
            job = await repository.lock(tx, ref.kind, ref.id)
            if job is None or job.state != RUNNING:
                return _Went.TO_THE_END
            if await repository.is_ahead(tx):
                return _Went.NOWHERE
            done = await kind.batch(tx, job)
            if done is job:
                return _Went.TO_THE_END
            after = await progress.save(tx, job, done, kind.tell)
        return _Went.FURTHER if after.state == RUNNING else _Went.TO_THE_END

    async def _give_up(self, ref: JobRef, tell: Tell, error: Exception) -> None:
        if isinstance(error, ProblemError):
            code, detail = error.problem.code, error.problem.detail
            code = error.problem.errors[0].code if error.problem.errors else code
        else:
            log.exception("job_failed", job_id=str(ref.id), exc_info=error)
            code, detail = "internal_error", "Something went wrong on our side."
        async with self.database.tenant(ref.tenant_id) as tx:
            job = await repository.lock(tx, ref.kind, ref.id)
            if job is not None and job.state not in ENDED:
                await progress.save(tx, job, failed(job, code, detail), tell)

"""What every table of jobs has: its columns, the indexes they need, and the statements over it.

class Task(JobColumns, Base, table=True):
    __tablename__ = "tasks"
    __table_args__ = (due_index("tasks"), finished_index("tasks"))

TASKS = Jobs(Task, kind="task")
"""

from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from service_kit import columns
from service_kit.database import Transaction
from service_kit.jobs.schemas import JobRef
from service_kit.jobs.states import LOOK_AGAIN
from service_kit.rows import Rows, Shape

_AT_WORK = "state IN ('queued', 'running')"

# Taken in the order they are due, each by one process; one somebody holds is being worked on.
_DUE = """
UPDATE {table} SET due_at = now() + $1 WHERE id IN (
    SELECT id FROM {table} WHERE {at_work} AND due_at <= now()
    ORDER BY due_at LIMIT 100 FOR UPDATE SKIP LOCKED)
RETURNING tenant_id, id, {kind} AS kind
"""


class JobColumns(SQLModel):
    """How far a job is, and what came of it; at `due_at` somebody looks whether it is worked on."""

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    state: str = Field(max_length=50)
    done: int = 0
    total: int | None = None
    errors: int = 0
    failure: dict[str, Any] = columns.document()
    correlation_id: str = Field(max_length=255)
    due_at: datetime = columns.moment()
    version: int = 1
    created_at: datetime = columns.moment()
    updated_at: datetime = columns.moment()
    finished_at: datetime | None = columns.maybe_moment()


def due_index(table: str) -> Index:
    """By which jobs are found that somebody has to look after."""
    return Index(f"idx_{table}_due", "due_at", postgresql_where=text(_AT_WORK))


def finished_index(table: str) -> Index:
    """By which jobs are found that ended long ago."""
    at = text("finished_at IS NOT NULL")
    return Index(f"idx_{table}_finished", "finished_at", postgresql_where=at)


Job = TypeVar("Job", bound=JobColumns)

_REFS = Shape(JobRef)


class Jobs(Generic[Job]):
    """A service's table of jobs, all of one `kind` unless a column of that name says."""

    def __init__(self, model: type[Job], *, kind: str | None = None) -> None:
        self.rows = Rows(model)
        table = self.rows.table.name
        said = "kind" if kind is None else f"'{kind}'"
        self._due = _DUE.format(table=table, at_work=_AT_WORK, kind=said)
        self._find = f"SELECT * FROM {table} WHERE tenant_id = $1 AND id = $2"  # noqa: S608
        self._lock = f"{self._find} FOR UPDATE"

    async def insert(self, tx: Transaction, job: Job, *, unless: str = "") -> bool:
        """Add a job; False where `unless` (see `Rows.insert`) has it known already."""
        return await self.rows.insert(tx, [job], unless=unless) == 1

    async def find(self, tx: Transaction, job_id: UUID) -> Job | None:
        """The job, unless it is missing or another tenant's."""
        return await self.rows.first(tx, self._find, tx.tenant_id, job_id)

    async def lock(
        self, tx: Transaction, job_id: UUID, *, tenant_id: str | None = None
    ) -> Job | None:
        """As `find`, and nobody else works on it until the commit. Taken before other locks.

        `tenant_id`: whose it is, where the transaction acts for several.
        """
        return await self.rows.first(tx, self._lock, tenant_id or tx.tenant_id, job_id)

    async def update(self, tx: Transaction, *jobs: Job) -> None:
        """Write jobs back; the caller holds their locks."""
        await self.rows.update(tx, jobs)

    async def due(self, tx: Transaction) -> list[JobRef]:
        """Jobs of all tenants that somebody has to look after, each given to one caller."""
        return await _REFS.find(tx, self._due, LOOK_AGAIN)

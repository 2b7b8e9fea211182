"""Rows of a SQLModel table in and out of PostgreSQL, by statements derived from the table."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from crm_scratch.things import OTHER_TENANT, TENANT
from service_kit import columns
from service_kit.database import Database, Transaction
from service_kit.rows import Rows, Shape
from sqlalchemy import BigInteger, Column, Computed, Identity, MetaData, String
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel, select


class Base(SQLModel, registry=registry(metadata=MetaData(schema="scratch"))):
    """Tables of this test alone."""


class Note(Base, table=True):
    """One of every kind of column."""

    __tablename__ = "notes"

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), unique=True)
    )
    title: str = Field(max_length=10)
    text: str | None = columns.maybe_text()
    tags: list[str] = columns.texts()
    metadata_: dict[str, Any] = columns.document("metadata")
    said_at: datetime | None = columns.maybe_moment()
    version: int = 1
    length: int | None = Field(
        default=None, sa_column=Column(BigInteger, Computed("length(title)", persisted=True))
    )
    source: str | None = Field(
        default=None, sa_column=Column(String(20), nullable=False, server_default="api")
    )
    created_at: datetime = columns.stamped()


NOTES = Rows(Note)

_CREATE = """
CREATE TABLE scratch.notes (id uuid PRIMARY KEY, tenant_id varchar(255) NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE, title varchar(10) NOT NULL, text text,
    tags text[] NOT NULL DEFAULT '{}', metadata jsonb NOT NULL DEFAULT '{}', said_at timestamptz,
    version int NOT NULL, length bigint GENERATED ALWAYS AS (length(title)) STORED,
    source varchar(20) NOT NULL DEFAULT 'api', created_at timestamptz NOT NULL DEFAULT now());
GRANT ALL ON scratch.notes TO crm_scratch_app
"""


@pytest.fixture
async def notes(admin_url: str, database: Database) -> AsyncIterator[asyncpg.Connection]:
    """The table, and its administrator's connection."""
    admin = await asyncpg.connect(admin_url)
    await admin.execute(_CREATE)
    yield admin
    await admin.close()


def note(title: str = "a", **values: Any) -> Note:
    return Note(id=uuid4(), tenant_id=TENANT, title=title, **values)


async def by_title(tx: Transaction) -> list[Note]:
    return await NOTES.find(tx, select(Note).order_by(Note.title))


@pytest.mark.usefixtures("notes")
class TestInsert:
    async def test_keeps_every_kind_of_value(self, database: Database) -> None:
        said_at = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
        full = note(
            "full",
            text="é\n'\"",
            tags=["a,b", '"', "{}", ""],
            metadata_={"a": [1, None, {"b": "é"}]},
            said_at=said_at,
            version=7,
            source="phone",
            created_at=said_at,
        )
        bare = note("bare")
        async with database.tenant(TENANT) as tx:
            assert await NOTES.insert(tx, [full, note("x", source="x"), bare.model_copy()]) == 3
        async with database.tenant(TENANT) as tx:
            read_bare, read_full, _ = await by_title(tx)
        assert read_full.model_dump(exclude={"seq", "length"}) == full.model_dump(
            exclude={"seq", "length"}
        )
        assert (read_full.seq, read_full.length) == (1, 4)
        assert (read_bare.text, read_bare.tags, read_bare.metadata_) == (None, [], {})
        assert (read_bare.version, read_bare.said_at) == (1, None)

    async def test_leaves_to_the_database_what_no_row_speaks_of(self, database: Database) -> None:
        async with database.tenant(TENANT) as tx:
            await NOTES.insert(tx, [note()])
            (read,) = await by_title(tx)
        assert read.source == "api"
        assert datetime.now(UTC) - read.created_at < timedelta(minutes=1)

    async def test_names_its_columns_so_that_a_newer_schema_may_have_more(
        self, database: Database, notes: asyncpg.Connection
    ) -> None:
        await notes.execute("ALTER TABLE scratch.notes ADD score int NOT NULL DEFAULT 7")
        async with database.tenant(TENANT) as tx:
            await NOTES.insert(tx, [note()])
            assert len(await by_title(tx)) == 1
            assert await tx.fetchval("SELECT score FROM notes") == 7

    async def test_refuses_what_is_too_long_instead_of_cutting_it(self, database: Database) -> None:
        with pytest.raises(asyncpg.StringDataRightTruncationError):
            async with database.tenant(TENANT) as tx:
                await NOTES.insert(tx, [note("a" * 11)])

    async def test_known_rows_may_be_left_as_they_are(self, database: Database) -> None:
        known = note("known")
        async with database.tenant(TENANT) as tx:
            await NOTES.insert(tx, [known])
            again = known.model_copy(update={"title": "again"})
            assert await NOTES.insert(tx, [again, note("new")], unless="(id)") == 1
            assert [n.title for n in await by_title(tx)] == ["known", "new"]

    async def test_of_nothing_asks_nothing(self, database: Database) -> None:
        async with database.tenant(TENANT) as tx:
            assert await NOTES.insert(tx, []) == 0
            assert await NOTES.update(tx, []) == 0
            assert await NOTES.upsert(tx, []) == 0


@pytest.mark.usefixtures("notes")
class TestUpdate:
    async def test_writes_back_what_is_named_and_nothing_else(self, database: Database) -> None:
        notes = [note(f"n{n}", tags=["x"], text="old") for n in range(3)]
        async with database.tenant(TENANT) as tx:
            await NOTES.insert(tx, notes)
            changed = [n.model_copy(update={"tags": ["y", "z"], "text": "new"}) for n in notes[:2]]
            assert await NOTES.update(tx, changed, "tags") == 2
            read = await by_title(tx)
        assert [n.tags for n in read] == [["y", "z"], ["y", "z"], ["x"]]
        assert {n.text for n in read} == {"old"}

    async def test_writes_back_everything_by_default(self, database: Database) -> None:
        first = note("a", source="phone")
        async with database.tenant(TENANT) as tx:
            await NOTES.insert(tx, [first])
            (read,) = await by_title(tx)
            await NOTES.update(tx, [read.model_copy(update={"title": "b", "version": 2})])
            (again,) = await by_title(tx)
        assert (again.title, again.version, again.source) == ("b", 2, "phone")
        assert again.created_at == read.created_at

    async def test_leaves_a_row_with_its_tenant(
        self, database: Database, notes: asyncpg.Connection
    ) -> None:
        """The id is known to somebody else, and the transaction acts for both."""
        ours = note("ours")
        async with database.tenants([TENANT, OTHER_TENANT]) as tx:
            await NOTES.insert(tx, [ours])
            theirs = ours.model_copy(update={"tenant_id": OTHER_TENANT, "title": "theirs"})
            assert await NOTES.update(tx, [theirs]) == 0
            assert await NOTES.update(tx, [theirs], "title") == 0
        assert await notes.fetchval("SELECT tenant_id || title FROM scratch.notes") == (
            f"{TENANT}ours"
        )


@pytest.mark.usefixtures("notes")
class TestUpsert:
    async def test_the_newest_wins_in_whatever_order_they_come(self, database: Database) -> None:
        one = note("v2", version=2)

        async def put(version: int) -> int:
            row = one.model_copy(update={"title": f"v{version}", "version": version})
            async with database.tenant(TENANT) as tx:
                return await NOTES.upsert(tx, [row], newest="version")

        assert [await put(v) for v in (2, 1, 2, 5, 3)] == [1, 0, 0, 1, 0]
        async with database.tenant(TENANT) as tx:
            (read,) = await by_title(tx)
        assert (read.title, read.version) == ("v5", 5)

    async def test_writes_nothing_where_nothing_differs(self, database: Database) -> None:
        one = note("a", text="x")
        async with database.tenant(TENANT) as tx:
            await NOTES.insert(tx, [one])
            same = one.model_copy(update={"text": "y"})
            assert await NOTES.upsert(tx, [same], "title", "text", differs="title") == 0
            other = same.model_copy(update={"title": "b"})
            assert await NOTES.upsert(tx, [other], "title", "text", differs="title") == 1
            (read,) = await by_title(tx)
        assert (read.title, read.text) == ("b", "y")

    async def test_may_write_a_part(self, database: Database) -> None:
        one = note("title", version=1, text="text")
        async with database.tenant(TENANT) as tx:
            await NOTES.insert(tx, [one])
            gone = one.model_copy(update={"title": "gone", "text": None, "version": 2})
            await NOTES.upsert(tx, [gone], "text", "version", newest="version")
            (read,) = await by_title(tx)
        assert (read.title, read.text, read.version) == ("title", None, 2)

    async def test_two_writers_of_the_same_rows_never_wait_in_a_circle(
        self, database: Database
    ) -> None:
        rows = [note(f"n{n}") for n in range(50)]
        newer = [row.model_copy(update={"version": 2}) for row in reversed(rows)]

        async def put(batch: list[Note]) -> None:
            async with database.tenant(TENANT) as tx:
                await NOTES.upsert(tx, batch, newest="version")

        for _ in range(10):
            await asyncio.gather(put(rows), put(newer))
        async with database.tenant(TENANT) as tx:
            assert {n.version for n in await by_title(tx)} == {2}


@pytest.mark.usefixtures("notes")
class TestFind:
    async def test_takes_an_expression_or_text(self, database: Database) -> None:
        rows = [note("a"), note("b", text="t")]
        async with database.tenant(TENANT) as tx:
            await NOTES.insert(tx, rows)
            found = await NOTES.first(tx, select(Note).where(Note.text == "t"))
            assert found is not None
            assert found.title == "b"
            text = "SELECT * FROM notes WHERE id = ANY($1::uuid[])"
            assert [n.id for n in await NOTES.find(tx, text, [rows[0].id])] == [rows[0].id]
            assert await NOTES.first(tx, text, []) is None

    async def test_what_was_read_is_a_value(self, database: Database) -> None:
        async with database.tenant(TENANT) as tx:
            await NOTES.insert(tx, [note("a")])
            (read,) = await by_title(tx)
        changed = read.model_copy(update={"title": "b"})
        assert (read.title, changed.title) == ("a", "b")
        assert changed == note("b").model_copy(update=changed.model_dump())


@dataclass(frozen=True, slots=True)
class Titled:
    """How often a title was given."""

    title: str
    times: int


@pytest.mark.usefixtures("notes")
class TestShape:
    async def test_reads_what_is_no_whole_row(self, database: Database) -> None:
        titled = Shape(Titled)
        query = (
            "SELECT count(*) AS times, title, 1 AS more FROM notes GROUP BY title ORDER BY title"
        )
        async with database.tenant(TENANT) as tx:
            assert await titled.first(tx, query) is None
            await NOTES.insert(tx, [note("a"), note("b"), note("a")])
            assert await titled.find(tx, query) == [Titled("a", 2), Titled("b", 1)]
            assert await titled.first(tx, query) == Titled("a", 2)

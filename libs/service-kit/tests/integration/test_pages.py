from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from crm_scratch.things import OTHER_TENANT, TENANT, Thing, insert_thing
from service_kit.database import Database
from service_kit.errors import MalformedError
from service_kit.paging import Order
from service_kit.rows import Shape
from shared_events.requests import ListQuery
from sqlalchemy import Column, MetaData, Table, Text, Uuid, func, select

TABLE = Table(
    "things",
    MetaData(),
    Column("id", Uuid),
    Column("tenant_id", Text),
    Column("name", Text, nullable=False),
)
UP = Order("up", [(TABLE.c.name, str), (TABLE.c.id, UUID)], tenant=TABLE.c.tenant_id)
DOWN = Order(
    "down", [(TABLE.c.name, str), (TABLE.c.id, UUID)], tenant=TABLE.c.tenant_id, descending=True
)
LOUD = func.upper(TABLE.c.name).label("loud")
BY_EXPRESSION = Order("loud", [(LOUD, str), (TABLE.c.id, UUID)], tenant=TABLE.c.tenant_id)


class ListThings(ListQuery[Thing], key="scratch.thing.list"):
    """Things, page by page."""

    name: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    id: UUID
    name: str


def shown(row: Row) -> Thing:
    return Thing(id=row.id, name=row.name)


async def store(database: Database, *names: str, tenant_id: str = TENANT) -> None:
    async with database.tenant(tenant_id) as tx:
        for name in names:
            await insert_thing(tx, uuid4(), name)


async def page(
    database: Database, order: Order, cursor: str | None = None, offset: int = 0
) -> tuple[list[str], str | None]:
    """The names on a page of three, and the cursor of the next."""
    request = ListThings(limit=3, cursor=cursor, offset=offset)
    async with database.tenant(TENANT, read_only=True) as tx:
        found = await order.page(tx, select(TABLE, LOUD), request, Shape(Row), shown)
    assert found.has_more == (found.next_cursor is not None)
    return [thing.name for thing in found.data], found.next_cursor


class TestPage:
    @pytest.mark.parametrize(
        ("order", "first", "rest"),
        [
            (UP, ["a", "b", "b"], ["b", "c"]),
            (DOWN, ["c", "b", "b"], ["b", "a"]),
            (BY_EXPRESSION, ["a", "b", "b"], ["b", "c"]),
        ],
    )
    async def test_follows_the_last_without_gap_or_repetition(
        self, database: Database, order: Order, first: list[str], rest: list[str]
    ) -> None:
        await store(database, "b", "a", "b", "c", "b")
        found, cursor = await page(database, order)
        assert found == first
        assert await page(database, order, cursor) == (rest, None)

    async def test_is_not_shifted_by_what_was_inserted_meanwhile(self, database: Database) -> None:
        await store(database, "b", "c", "d", "e")
        _, cursor = await page(database, UP)
        await store(database, "a", "f")
        assert await page(database, UP, cursor) == (["e", "f"], None)

    async def test_has_a_cursor_that_fits_no_other_filter_and_no_other_tenant(
        self, database: Database
    ) -> None:
        await store(database, "a", "b", "c", "d")
        _, cursor = await page(database, UP)
        for tenant_id, name in ((TENANT, "a"), (OTHER_TENANT, None)):
            request = ListThings(limit=2, cursor=cursor, name=name)
            async with database.tenant(tenant_id) as tx:
                with pytest.raises(MalformedError):
                    await UP.found(tx, select(TABLE), request, Shape(Row))
        assert await page(database, UP, cursor) == (["d"], None)

    async def test_begins_at_the_offset_when_there_is_no_cursor(self, database: Database) -> None:
        await store(database, "a", "b", "c", "d")
        assert await page(database, UP, offset=2) == (["c", "d"], None)

    async def test_is_the_last_when_it_is_exactly_full(self, database: Database) -> None:
        await store(database, "a", "b", "c")
        assert await page(database, UP) == (["a", "b", "c"], None)

    async def test_is_empty_without_rows_of_the_tenant(self, database: Database) -> None:
        await store(database, "theirs", tenant_id=OTHER_TENANT)
        assert await page(database, UP) == ([], None)

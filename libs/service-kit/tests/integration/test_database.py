import asyncio
from uuid import uuid4

import asyncpg
import pytest
from crm_scratch import eventually
from crm_scratch.things import OTHER_TENANT, TENANT, insert_thing
from prometheus_client import REGISTRY
from service_kit.cause import Cause
from service_kit.database import Database, NotConnectedError, is_infrastructure
from shared_events.channels.channel import ChannelDeleted
from sqlalchemy import MetaData, Table, column, select, table


async def count(database: Database, tenant_id: str, name: str = "things") -> int:
    async with database.tenant(tenant_id) as tx:
        return int(await tx.fetchval(f"SELECT count(*) FROM {name}"))  # noqa: S608 - our own names


class TestRowLevelSecurity:
    async def test_covers_every_table_with_a_tenant_and_its_owner(self, admin_url: str) -> None:
        admin = await asyncpg.connect(admin_url)
        rows = await admin.fetch(
            "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS safe FROM pg_class c"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'"
            " WHERE c.relnamespace = 'scratch'::regnamespace AND c.relkind = 'r'"
        )
        await admin.close()
        assert {row["relname"] for row in rows} == {
            "outbox_events",
            "command_replies",
            "things",
            "shared_things",
        }
        assert all(row["safe"] for row in rows)

    async def test_shows_nothing_without_a_tenant(self, database: Database) -> None:
        async with database.tenant(TENANT) as tx:
            await insert_thing(tx, uuid4(), "mine")
            tx.outbox.add(ChannelDeleted(channel_id=uuid4()), uuid4())
        async with database.acquire() as connection:
            for name in ("things", "outbox_events", "command_replies"):
                assert await connection.fetchval(f"SELECT count(*) FROM {name}") == 0  # noqa: S608

    async def test_writes_nothing_without_a_tenant(self, database: Database) -> None:
        async with database.acquire() as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("INSERT INTO things VALUES ($1, $2, 'x')", uuid4(), TENANT)

    async def test_hides_another_tenants_rows_from_every_verb(self, database: Database) -> None:
        thing = uuid4()
        async with database.tenant(TENANT) as tx:
            await insert_thing(tx, thing, "mine")
        async with database.tenant(OTHER_TENANT) as tx:
            assert await tx.fetch("SELECT * FROM things") == []
            assert await tx.execute("UPDATE things SET name = 'stolen'") == 0
            assert await tx.execute("DELETE FROM things") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.tenant(OTHER_TENANT) as tx:
                await tx.execute("INSERT INTO things VALUES ($1, $2, 'x')", uuid4(), TENANT)
        assert await count(database, TENANT) == 1

    async def test_gives_a_row_to_nobody_else_by_update(self, database: Database) -> None:
        async with database.tenant(TENANT) as tx:
            await insert_thing(tx, uuid4(), "mine")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.tenant(TENANT) as tx:
                await tx.execute("UPDATE things SET tenant_id = $1", OTHER_TENANT)

    async def test_refuses_a_tenant_id_that_could_be_sql(self, database: Database) -> None:
        for bad in ("", "a' OR true --", "a\nb", "é", "x" * 256):
            with pytest.raises(ValueError, match="tenant id"):
                async with database.tenant(bad):
                    pass


class TestPooledConnections:
    async def test_forget_the_tenant_with_the_transaction(self, admin_url: str) -> None:
        parts = admin_url.replace("postgres:only-for-this-test-run", "crm_scratch_app:app")
        one = Database(parts, "scratch", pool_size=1)
        await one.connect()
        async with one.tenant(TENANT) as tx:
            await insert_thing(tx, uuid4(), "mine")
        async with one.acquire() as connection:
            assert not await connection.fetchval("SELECT current_setting('app.tenant_id', true)")
            assert await connection.fetchval("SELECT count(*) FROM things") == 0
        with pytest.raises(ZeroDivisionError):
            async with one.tenant(TENANT) as tx:
                raise ZeroDivisionError
        async with one.acquire() as connection:
            assert await connection.fetchval("SELECT count(*) FROM things") == 0
        await one.close()

    async def test_tell_how_long_somebody_waited_for_one(self, admin_url: str) -> None:
        url = admin_url.replace("postgres:only-for-this-test-run", "crm_scratch_app:app")
        one = Database(url, "scratch", pool_size=1, purpose="waited-for")
        await one.connect()
        async with one.acquire() as connection:
            waiting = asyncio.create_task(one.answers())
            await connection.fetchval("SELECT pg_sleep(0.2)")
        assert await waiting
        await one.close()
        waits = {"pool": "waited-for"}
        assert REGISTRY.get_sample_value("crm_db_pool_wait_seconds_count", waits) == 2
        waited = REGISTRY.get_sample_value("crm_db_pool_wait_seconds_sum", waits)
        assert waited is not None
        assert waited >= 0.1

    async def test_are_clean_after_a_cancelled_statement(self, admin_url: str) -> None:
        url = admin_url.replace("postgres:only-for-this-test-run", "crm_scratch_app:app")
        one = Database(url, "scratch", pool_size=1)
        await one.connect()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), one.tenant(TENANT) as tx:
                await insert_thing(tx, uuid4(), "never")
                await tx.execute("SELECT pg_sleep(30)")
        assert await count(one, TENANT) == 0
        async with one.acquire() as connection:
            assert await connection.fetchval("SELECT count(*) FROM things") == 0
        await one.close()

    async def test_are_clean_whenever_who_rolls_back_is_cancelled(self, database: Database) -> None:
        """At every turn of the loop: whoever is cancelled then stays cancelled."""

        async def fail(failed: asyncio.Event) -> None:
            async with database.tenant(TENANT) as tx:
                await insert_thing(tx, uuid4(), "never")
                failed.set()
                raise ZeroDivisionError

        for turns in range(12):
            failed = asyncio.Event()
            failing = asyncio.create_task(fail(failed))
            await failed.wait()
            for _ in range(turns):
                await asyncio.sleep(0)
            failing.cancel()
            with pytest.raises((asyncio.CancelledError, ZeroDivisionError)):
                await failing
        assert await count(database, TENANT) == 0

    async def test_serve_two_tenants_at_once_without_mixing(self, database: Database) -> None:
        async def write(tenant_id: str) -> None:
            async with database.tenant(tenant_id) as tx:
                await insert_thing(tx, uuid4(), tenant_id)
                assert await tx.fetchval("SELECT count(DISTINCT tenant_id) FROM things") == 1

        await asyncio.gather(*(write(t) for t in (TENANT, OTHER_TENANT) * 20))
        assert await count(database, TENANT) == 20


STRANGER = "0e5f7a0c-5d0b-4f6e-9d0a-2f4c8b1e6a03"


class TestTransaction:
    async def test_act_for_changes_what_is_seen_and_written(self, database: Database) -> None:
        async with database.system("consume") as tx:
            with pytest.raises(RuntimeError, match="no tenant"):
                assert tx.tenant_id
            for tenant_id in (TENANT, OTHER_TENANT):
                await tx.act_for(tenant_id)
                await insert_thing(tx, uuid4(), "x")
                tx.outbox.add(ChannelDeleted(channel_id=uuid4()), uuid4())
                assert await tx.fetchval("SELECT count(*) FROM things") == 1
        assert await count(database, OTHER_TENANT, "outbox_events") == 1

    async def test_for_several_tenants_sees_and_writes_theirs_alone(
        self, database: Database
    ) -> None:
        for tenant_id in (TENANT, OTHER_TENANT, STRANGER):
            async with database.tenant(tenant_id) as tx:
                await insert_thing(tx, uuid4(), tenant_id)
        async with database.tenants([TENANT, OTHER_TENANT]) as tx:
            with pytest.raises(RuntimeError, match="several"):
                assert tx.tenant_id
            seen = await tx.fetch("SELECT tenant_id FROM things ORDER BY 1")
            assert [row["tenant_id"] for row in seen] == [TENANT, OTHER_TENANT]
            assert await tx.execute("UPDATE things SET name = 'seen'") == 2
            tx.outbox.add(ChannelDeleted(channel_id=uuid4()), uuid4(), tenant_id=OTHER_TENANT)
        assert await count(database, OTHER_TENANT, "outbox_events") == 1
        assert await count(database, TENANT, "outbox_events") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.tenants([TENANT, OTHER_TENANT]) as tx:
                await tx.execute("INSERT INTO things VALUES ($1, $2, 'x')", uuid4(), STRANGER)
        with pytest.raises(RuntimeError, match="names no tenant"):
            async with database.tenants([TENANT, OTHER_TENANT]) as tx:
                tx.outbox.add(ChannelDeleted(channel_id=uuid4()), uuid4())

    async def test_read_only_refuses_to_write(self, database: Database) -> None:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with database.tenant(TENANT, read_only=True) as tx:
                await insert_thing(tx, uuid4(), "x")

    async def test_runs_a_core_statement(self, database: Database) -> None:
        thing = uuid4()
        things = table("things", column("id"), column("name"))
        async with database.tenant(TENANT) as tx:
            await insert_thing(tx, thing, "found")
            statement = select(things.c.name).where(things.c.name.in_(["found", "lost"]))
            assert await tx.fetchval(statement) == "found"
            assert isinstance(Table("t", MetaData()), Table)
            assert await tx.execute(things.update().values(name="renamed")) == 1

    async def test_reaches_no_other_schema(self, database: Database, admin_url: str) -> None:
        admin = await asyncpg.connect(admin_url)
        await admin.execute("CREATE SCHEMA other; CREATE TABLE other.rows (id int)")
        await admin.close()
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.tenant(TENANT) as tx:
                await tx.fetch("SELECT * FROM other.rows")

    async def test_may_not_change_the_schema(self, database: Database) -> None:
        for statement in (
            "ALTER TABLE things DISABLE ROW LEVEL SECURITY",
            "CREATE TABLE more (id int)",
            "DROP POLICY tenant ON things",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with database.tenant(TENANT) as tx:
                    await tx.execute(statement)


class TestSystemScope:
    async def test_sees_all_tenants_only_where_the_table_allows_it(
        self, database: Database
    ) -> None:
        for tenant_id in (TENANT, OTHER_TENANT):
            async with database.tenant(tenant_id) as tx:
                for name in ("things", "shared_things"):
                    await tx.execute(
                        f"INSERT INTO {name} VALUES ($1, $2, 'x')",  # noqa: S608
                        uuid4(),
                        tx.tenant_id,
                    )
        async with database.system("sweep") as tx:
            assert await tx.fetchval("SELECT count(*) FROM shared_things") == 2
            assert await tx.fetchval("SELECT count(*) FROM things") == 0
        async with database.system("nothing") as tx:
            assert await tx.fetchval("SELECT count(*) FROM shared_things") == 0

    async def test_has_a_name_that_cannot_be_sql(self, database: Database) -> None:
        with pytest.raises(ValueError, match="scope"):
            async with database.system("a'; --"):
                pass


class TestOutbox:
    async def test_is_written_with_the_change_and_its_cause(self, database: Database) -> None:
        cause = Cause("req-1", uuid4(), {"traceparent": "00-a-b-01"})
        async with database.tenant(TENANT, cause=cause) as tx:
            await insert_thing(tx, uuid4(), "x")
            event_id = tx.outbox.add(ChannelDeleted(channel_id=uuid4()), uuid4())
        async with database.tenant(TENANT) as tx:
            row = await tx.fetchrow("SELECT * FROM outbox_events")
        assert row is not None
        assert (row["event_id"], row["correlation_id"]) == (event_id, "req-1")
        assert (row["causation_id"], row["trace_context"]) == (
            cause.causation_id,
            {"traceparent": "00-a-b-01"},
        )

    async def test_disappears_with_a_change_that_fails(self, database: Database) -> None:
        with pytest.raises(ZeroDivisionError):
            async with database.tenant(TENANT) as tx:
                await insert_thing(tx, uuid4(), "x")
                tx.outbox.add(ChannelDeleted(channel_id=uuid4()), uuid4())
                await tx.write_events()
                raise ZeroDivisionError
        assert await count(database, TENANT) == 0
        assert await count(database, TENANT, "outbox_events") == 0

    async def test_keeps_the_order_in_which_events_were_added(self, database: Database) -> None:
        async with database.tenant(TENANT) as tx:
            added = [tx.outbox.add(ChannelDeleted(channel_id=uuid4()), uuid4()) for _ in range(200)]
        async with database.tenant(TENANT) as tx:
            rows = await tx.fetch("SELECT event_id FROM outbox_events ORDER BY seq")
        assert [row["event_id"] for row in rows] == added


class TestIsInfrastructure:
    async def test_tells_an_outage_from_a_bad_value(self, database: Database) -> None:
        with pytest.raises(asyncpg.DataError) as bad_value:
            async with database.tenant(TENANT) as tx:
                await tx.fetchval("SELECT $1::uuid", "not a uuid")
        assert not is_infrastructure(bad_value.value)
        await database.close()
        with pytest.raises(NotConnectedError) as away:
            async with database.tenant(TENANT):
                pass
        assert is_infrastructure(away.value)

    async def test_is_not_what_a_caller_did_wrong(self, database: Database) -> None:
        with pytest.raises(asyncpg.InterfaceError) as too_many:
            async with database.tenant(TENANT) as tx:
                await tx.fetchval("SELECT $1::int", 1, 2)
        with pytest.raises(asyncpg.QueryCanceledError) as too_long:
            async with database.tenant(TENANT) as tx:
                await tx.execute("SET LOCAL statement_timeout = 50")
                await tx.execute("SELECT pg_sleep(10)")
        for error in (too_many.value, too_long.value, TimeoutError(), FileNotFoundError()):
            assert not is_infrastructure(error)
        assert await database.answers()

    async def test_counts_a_database_that_nobody_reaches(self) -> None:
        away = Database("postgresql://nobody:x@127.0.0.1:1/nowhere", "kit")
        with pytest.raises(NotConnectedError) as refused:
            await away.connect()
        assert is_infrastructure(refused.value)
        assert not await away.answers()

    async def test_counts_a_connection_cut_by_the_server(
        self, database: Database, admin_url: str
    ) -> None:
        admin = await asyncpg.connect(admin_url)

        async def cut() -> bool:
            return bool(
                await admin.fetchval(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"
                )
            )

        async def sleep() -> None:
            async with database.tenant(TENANT) as tx:
                await tx.execute("SELECT pg_sleep(30)")

        sleeping = asyncio.create_task(sleep())
        await eventually(cut)
        with pytest.raises(Exception) as raised:
            await sleeping
        assert is_infrastructure(raised.value)
        assert await count(database, TENANT) == 0
        await admin.close()

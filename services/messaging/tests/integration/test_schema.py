from uuid import UUID

from crm_messaging.messages.arrival import on_message_received
from crm_messaging.tables import Base
from crm_testing.scenes.messaging import Scene
from crm_testing.schemas import Databases, assert_models_match, assert_tenants_apart
from shared_events.services import MESSAGING


class TestTables:
    async def test_are_what_the_models_say(self, databases: Databases) -> None:
        await assert_models_match(await databases.create(), MESSAGING.package, Base.metadata)

    async def test_keep_tenants_apart(self, databases: Databases) -> None:
        await assert_tenants_apart(await databases.create())


class TestPlans:
    async def test_lists_start_at_the_cursor_in_the_index(self, scene: Scene) -> None:
        """A million messages later the page after this one must cost the same."""
        after = f"ROW(said_at, seq, id) > ROW(now(), 1, '{UUID(int=1)}'::uuid)"
        async with scene.database.tenant(scene.tenant_id) as tx:
            await tx.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
            plan = await tx.fetch(
                f"EXPLAIN SELECT * FROM messages WHERE tenant_id = '{scene.tenant_id}'"  # noqa: S608
                f" AND {after} ORDER BY said_at, seq, id LIMIT 50"
            )
        text = "\n".join(row[0] for row in plan)
        assert "idx_messages_tenant" in text
        assert "ROW(said_at, seq, id) >" in text.partition("Index Cond:")[2].partition("\n")[0]


class TestScopes:
    async def test_the_sweep_sees_sessions_and_no_messages(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        async with scene.database.system("sweep") as tx:
            assert await tx.fetchval("SELECT count(*) FROM sessions") == 1
            assert await tx.fetchval("SELECT count(*) FROM messages") == 0

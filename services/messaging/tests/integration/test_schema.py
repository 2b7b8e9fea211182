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


class TestScopes:
    async def test_the_sweep_sees_sessions_and_no_messages(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        async with scene.database.system("sweep") as tx:
            assert await tx.fetchval("SELECT count(*) FROM sessions") == 1
            assert await tx.fetchval("SELECT count(*) FROM messages") == 0

from crm_channels_waha.tables import Base
from crm_testing.schemas import Databases, assert_models_match, assert_tenants_apart
from shared_events.services import CHANNELS


class TestSchema:
    async def test_is_what_the_models_say(self, databases: Databases) -> None:
        await assert_models_match(await databases.create(), CHANNELS.package, Base.metadata)

    async def test_keeps_tenants_apart(self, databases: Databases) -> None:
        await assert_tenants_apart(await databases.create())

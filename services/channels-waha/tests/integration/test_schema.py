from crm_channels_waha.app import PACKAGE
from crm_channels_waha.tables import Table
from crm_dev.schema_testing import Databases, assert_models_match, assert_tenants_apart


class TestSchema:
    async def test_is_what_the_models_say(self, databases: Databases) -> None:
        await assert_models_match(await databases.create(), PACKAGE, Table.metadata)

    async def test_keeps_tenants_apart(self, databases: Databases) -> None:
        await assert_tenants_apart(await databases.create())

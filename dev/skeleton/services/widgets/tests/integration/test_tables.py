"""The database itself: models and migrations agree, and no tenant sees another's rows."""

from crm_testing.schemas import Databases, assert_models_match, assert_tenants_apart
from crm_widgets.tables import Base
from shared_events.services import WIDGETS


class TestTables:
    async def test_are_what_the_models_say(self, databases: Databases) -> None:
        await assert_models_match(await databases.create(), WIDGETS.package, Base.metadata)

    async def test_keep_tenants_apart(self, databases: Databases) -> None:
        await assert_tenants_apart(await databases.create())

from crm_gateway.tables import Base
from crm_testing.schemas import (
    OF_NO_TENANT,
    Databases,
    assert_models_match,
    assert_tenants_apart,
)
from service_kit.service import Service


class TestTables:
    async def test_are_what_the_models_say(self, databases: Databases) -> None:
        await assert_models_match(await databases.create(), "crm_gateway", Base.metadata)

    async def test_keep_tenants_apart(self, databases: Databases) -> None:
        of_no_tenant = {*OF_NO_TENANT, "login_failures", "tallies"}
        await assert_tenants_apart(await databases.create(), of_no_tenant=of_no_tenant)


class TestScopes:
    async def test_the_login_scope_sees_what_proves_who_asks_and_nothing_else(
        self, gateway: Service, account: object
    ) -> None:
        del account
        async with gateway.database.system("login") as tx:
            assert await tx.fetchval("SELECT count(*) FROM users") > 0
            for table in ("projects", "agents", "ingress_spool", "outbox_events", "audit_log"):
                query = f"SELECT count(*) FROM {table}"  # noqa: S608 - our own names
                assert await tx.fetchval(query) == 0

"""The database itself: models and migrations agree, and no tenant sees another's rows."""

import asyncpg
import pytest
from crm_contacts.contact_lists.models import ContactList
from crm_contacts.custom_fields.models import CustomField
from crm_contacts.pipelines import models
from crm_contacts.tables import Base
from crm_testing.limits import assert_columns_hold
from crm_testing.scenes.contacts import Shop
from crm_testing.schemas import (
    Databases,
    MigratedDatabase,
    assert_models_match,
    assert_tenants_apart,
)
from pydantic import BaseModel
from service_kit.rows import Rows
from shared_events.contacts import contact_list, custom_field, pipeline
from shared_events.services import CONTACTS
from sqlmodel import SQLModel


class TestTables:
    async def test_are_what_the_models_say(self, databases: Databases) -> None:
        await assert_models_match(await databases.create(), CONTACTS.package, Base.metadata)

    async def test_keep_tenants_apart(self, databases: Databases) -> None:
        await assert_tenants_apart(await databases.create())


class TestColumns:
    @pytest.mark.parametrize(
        ("contract", "model"),
        [
            (pipeline.Pipeline, models.Pipeline),
            (pipeline.CreatePipeline, models.Pipeline),
            (pipeline.PipelineStatus, models.PipelineStatus),
            (pipeline.CreateStatus, models.PipelineStatus),
            (pipeline.Stay, models.ContactPipelineStatus),
            (pipeline.MoveContact, models.ContactPipelineStatus),
            (contact_list.ContactList, ContactList),
            (contact_list.CreateContactList, ContactList),
            (custom_field.CustomField, CustomField),
            (custom_field.CreateCustomField, CustomField),
        ],
    )
    def test_hold_what_the_contract_allows(
        self, contract: type[BaseModel], model: type[SQLModel]
    ) -> None:
        assert_columns_hold(contract, Rows(model).table)


class TestRowLevelSecurity:
    async def test_lets_the_trigram_index_answer_a_search(
        self, company: Shop, database: MigratedDatabase
    ) -> None:
        """LIKE under row-level security needs a leakproof operator; see the kit's migrations."""
        async with company.database.tenant(company.id) as tx:
            await tx.execute(
                "INSERT INTO contacts (id, tenant_id, name, source, search_text, sort_name,"
                " version, created_at, updated_at) SELECT gen_random_uuid(), $1, 'x', 'api',"
                " md5(i::text), 'x', 1, now(), now() FROM generate_series(1, 5000) AS i",
                company.id,
            )
        admin = await asyncpg.connect(database.admin_url)
        await admin.execute("VACUUM ANALYZE contacts.contacts")
        await admin.close()
        plan = await company.rows(
            "EXPLAIN SELECT id FROM contacts"
            " WHERE deleted_at IS NULL AND search_text LIKE '%maria%'"
        )
        lines = [row["QUERY PLAN"] for row in plan]
        conditions = [line for line in lines if "Index Cond" in line]
        assert any("~~ '%maria%'" in condition for condition in conditions), plan

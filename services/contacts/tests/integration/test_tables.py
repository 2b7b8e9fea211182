"""The database itself: models and migrations agree, and no tenant sees another's rows."""

import pytest
from crm_contacts.contact_lists.models import ContactList
from crm_contacts.custom_fields.models import CustomField
from crm_contacts.pipelines import models
from crm_contacts.tables import Base
from crm_contacts.trackings.models import Tracking, TrackingEnrichment
from crm_testing.limits import assert_columns_hold
from crm_testing.schemas import Databases, assert_models_match, assert_tenants_apart
from pydantic import BaseModel
from service_kit.rows import Rows
from shared_events.contacts import contact_list, custom_field, pipeline, tracking
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
            (tracking.CreateTracking, Tracking),
            (tracking.TrackingEnrichment, TrackingEnrichment),
        ],
    )
    def test_hold_what_the_contract_allows(
        self, contract: type[BaseModel], model: type[SQLModel]
    ) -> None:
        assert_columns_hold(contract, Rows(model).table)

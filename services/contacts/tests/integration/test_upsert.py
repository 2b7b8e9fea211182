"""Contacts written by an identity, and deletions taken back, over the bus."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_testing.scenes.contacts import Shop
from crm_testing.scenes.pipelines import Funnel
from shared_events.contacts.contact import (
    CreateContact,
    DeleteContact,
    GetContact,
    ListContacts,
    PatchContact,
    RestoreContact,
    UpsertContact,
)
from shared_events.contacts.custom_field import CreateCustomField

PHONE = "5511988880001"
LID = "98765432101234"


def upsert(kind: str, value: str, name: str = "Ana", **fields: Any) -> UpsertContact:
    given = {"identity_kind": kind, "value": value, "name": name, **fields}
    return UpsertContact.model_validate(given)


class TestUpsert:
    async def test_adds_a_contact_once_and_then_replaces_it(
        self, company: Shop, other_company: Shop
    ) -> None:
        theirs = await other_company.value(upsert("phone", PHONE, "Z"))
        funnel = await Funnel.of(company, "novo")
        whole: dict[str, Any] = {
            "name": "ã" * 255,
            "email": "ana@example.com",
            "tags": ["vip"],
            "custom_fields": {"a": 1},
            "language": "pt-BR",
            "timezone": "America/Sao_Paulo",
            "pipeline_id": str(funnel.id),
            "pipeline_status_id": str(funnel.statuses["novo"]),
        }
        made = await company.value(upsert("phone", "11 8888-0001", **whole))
        assert {name: made[name] for name in whole} == whole
        assert (made["phone"], made["version"]) == ("+5511988880001", 1)
        assert made["identities"] == [{"kind": "phone", "value": PHONE}]
        assert await company.value(upsert("phone", "+55 (11) 98888-0001", **whole)) == made
        replaced = await company.value(upsert("phone", PHONE), expected_version=1)
        assert (replaced["id"], replaced["version"]) == (made["id"], 2)
        assert (replaced["email"], replaced["tags"], replaced["custom_fields"]) == (None, [], {})
        assert (replaced["pipeline_id"], replaced["phone"]) == (None, made["phone"])
        stale = ("precondition_failed", "stale_version")
        assert await company.refusal(upsert("phone", PHONE), expected_version=1) == stale
        assert await company.refusal(upsert("lid", LID), expected_version=1) == stale
        assert [row["type"] for row in await self.told(company)] == ["created", "updated"]
        assert await other_company.value(GetContact(contact_id=theirs["id"])) == theirs

    @staticmethod
    async def told(company: Shop) -> list[dict[str, Any]]:
        return await company.rows(
            "SELECT split_part(event_type, '.', 2) AS type FROM outbox_events"
            " WHERE event_type IN ('contact.created', 'contact.updated') ORDER BY seq"
        )

    async def test_finds_whom_messages_showed(self, company: Shop) -> None:
        await company.receive(("phone", PHONE), ("lid", LID), push_name="Aninha")
        (known,) = await company.contacts()
        for kind, value in (("lid", LID), ("phone", PHONE)):
            named = await company.value(upsert(kind, value, f"Ana {kind}"))
            assert (named["id"], named["phone"]) == (known["id"], known["phone"])
            assert named["identities"] == known["identities"]
        await company.value(PatchContact(contact_id=known["id"], phone=None))
        assert (await company.value(upsert("lid", LID)))["phone"] is None
        assert (await company.value(upsert("phone", PHONE)))["phone"] == known["phone"]
        # And the other way round: who was typed by a hidden id is found by the first message.
        typed = await company.value(upsert("lid", "111222333444", "Bia"))
        assert typed["phone"] is None
        await company.receive(("phone", "5511977770002"), ("lid", "111222333444"))
        shown = await company.value(GetContact(contact_id=typed["id"]))
        assert (shown["name"], shown["phone"]) == ("Bia", "+5511977770002")
        group = await company.value(upsert("group", "120363000000000001", "Turma"))
        assert group["identities"][0]["kind"] == "group"

    async def test_brings_back_who_was_deleted(self, company: Shop) -> None:
        await company.receive(("phone", PHONE), ("lid", LID))
        (known,) = await company.contacts()
        await company.value(DeleteContact(contact_id=known["id"]))
        back = await company.value(upsert("lid", LID, "Ana"))
        assert (back["id"], back["name"], back["phone"]) == (known["id"], "Ana", known["phone"])

    async def test_adds_one_contact_however_many_ask_at_once(self, company: Shop) -> None:
        asked = (company.value(upsert("lid", LID, f"Ana {n}")) for n in range(6))
        made = await asyncio.gather(*asked)
        assert len({one["id"] for one in made}) == 1
        assert sorted(one["version"] for one in made) == [1, 2, 3, 4, 5, 6]

    async def test_holds_to_definitions(self, company: Shop) -> None:
        defined = {"key": "cpf", "label": "CPF", "type": "text", "required": True}
        await company.value(CreateCustomField.model_validate(defined))
        problem = await company.problem(upsert("phone", PHONE))
        assert [error.pointer for error in problem.errors] == ["/custom_fields/cpf"]

    @pytest.mark.parametrize(
        ("kind", "value", "code"),
        [
            ("phone", "123", "invalid_phone"),
            ("lid", "abc", "invalid_identity"),
            ("lid", "0", "invalid_identity"),
            ("lid", "1" * 50, "invalid_identity"),
            ("group", "12@g.us", "invalid_identity"),
        ],
    )
    async def test_refuses_what_nobody_has(
        self, company: Shop, kind: str, value: str, code: str
    ) -> None:
        problem = await company.problem(upsert(kind, value))
        assert [(e.pointer, e.code) for e in problem.errors] == [("/value", code)]


class TestRestore:
    async def test_takes_a_deletion_back(self, company: Shop, other_company: Shop) -> None:
        made = await company.value(CreateContact(name="Ana", phone=PHONE, tags=["vip"]))
        here = RestoreContact(contact_id=UUID(made["id"]))
        assert await company.value(here) == made
        await company.value(DeleteContact(contact_id=here.contact_id))
        for asking, request in (
            (other_company, here),
            (company, RestoreContact(contact_id=uuid4())),
        ):
            assert await asking.refusal(request) == ("not_found", "contact_not_found")
        stale = ("precondition_failed", "stale_version")
        assert await company.refusal(here, expected_version=1) == stale
        back = await company.value(here, expected_version=2)
        ours = {"version": 3, "updated_at": back["updated_at"]}
        assert back == {**made, **ours}
        assert (await company.value(ListContacts()))["data"] == [back]
        (told,) = await company.told("contact.updated")
        assert (told["contact"], told["changed"]) == (back, ["deleted_at"])

    async def test_is_possible_for_thirty_days(self, company: Shop) -> None:
        made = await company.value(CreateContact(name="Ana"))
        here = RestoreContact(contact_id=UUID(made["id"]))
        await company.value(DeleteContact(contact_id=here.contact_id))
        deleted = "UPDATE contacts SET deleted_at = now() - $2::interval WHERE id = $1 RETURNING 1"
        late = deleted.replace("$2::interval", "interval '30 days 1 minute'")
        await company.rows(late, here.contact_id)
        assert await company.refusal(here) == ("conflict", "restore_too_late")
        await company.rows(
            deleted.replace("$2::interval", "interval '29 days 23 hours'"), here.contact_id
        )
        assert (await company.value(here))["id"] == made["id"]

    async def test_leaves_a_phone_to_who_has_it_by_now(self, company: Shop) -> None:
        made = await company.value(CreateContact(name="Ana", phone=PHONE))
        await company.value(DeleteContact(contact_id=made["id"]))
        other = await company.value(CreateContact(name="Bia"))
        await company.value(PatchContact(contact_id=other["id"], phone=PHONE))
        back = await company.value(RestoreContact(contact_id=made["id"]))
        assert (back["phone"], back["identities"]) == (None, [])

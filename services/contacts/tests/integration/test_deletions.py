"""Deleted contacts, over the bus as the gateway asks: back for 30 days, then gone for good."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from asyncpg import SerializationError
from crm_contacts.contacts.consumers import on_message_received
from crm_contacts.deletions.purging import purge
from crm_testing.costs import counting
from crm_testing.scenes.contacts import Shop, apply, delivered
from crm_testing.scenes.pipelines import Funnel
from crm_testing.schemas import MigratedDatabase
from crm_testing.services import eventually
from crm_testing.traces import traces_of
from shared_events.contacts.contact import (
    CreateContact,
    DeleteContact,
    GetContact,
    ListDeletedContacts,
    PatchContact,
    RestoreContact,
)
from shared_events.contacts.contact_list import CreateContactList, PutOnList
from shared_events.contacts.erasure import PlaceLegalHold, RequestErasure
from shared_events.contacts.merge import MergeContacts
from shared_events.contacts.note import CreateNote
from shared_events.contacts.opt_out import PutOptOut
from shared_events.contacts.tracking import CreateTracking

PHONE, LID = ("phone", "5511988880001"), ("lid", "1" * 15)
_LONG_DELETED = """
INSERT INTO contacts (id, tenant_id, name, source, search_text, sort_name, version, deleted_at,
    created_at, updated_at)
VALUES ($1, $2, 'x', 'api', '', '', 1, now() - interval '31 days', now(), now())
"""
LONGEST = "é" * 255
_TOLD = ("outbox_events.", "command_replies.")
KEPT = timedelta(days=30)
NOT_FOUND = ("not_found", "contact_not_found")


async def deleted(company: Shop, name: str = "Maria", **fields: Any) -> UUID:
    contact_id = UUID((await company.value(CreateContact(name=name, **fields)))["id"])
    await company.value(DeleteContact(contact_id=contact_id))
    return contact_id


async def age(company: Shop, days: int = 31) -> None:
    """So long ago the company's deletions were."""
    async with company.database.tenant(company.id) as tx:
        await tx.execute(
            "UPDATE contacts SET deleted_at = deleted_at - $1::interval", timedelta(days=days)
        )


async def purged(company: Shop) -> None:
    async with company.database.system("deletions") as tx:
        assert not await purge(tx, kept=KEPT)


async def everything(company: Shop) -> UUID:
    """A deleted contact of whom there was something in every table, and who was merged with one."""
    await company.receive(PHONE, LID, push_name=LONGEST)
    ((contact,)) = await company.contacts()
    contact_id = UUID(contact["id"])
    funnel = await Funnel.of(company, "Novo")
    await company.value(funnel.move(contact_id, "Novo"))
    await company.value(CreateNote(contact_id=contact_id, content="é" * 10_000))
    await company.value(CreateTracking(contact_id=contact_id, source="other", campaign=LONGEST))
    await company.value(PutOptOut(contact_id=contact_id, channel_id="all", reason="é" * 1000))
    static = await company.value(CreateContactList(name="Alle", kind="static"))
    await company.value(PutOnList(list_id=UUID(static["id"]), contact_ids=[contact_id]))
    loser = UUID((await company.value(CreateContact(name="Loser")))["id"])
    await company.value(MergeContacts(contact_id=contact_id, loser_id=loser))
    await company.value(DeleteContact(contact_id=contact_id))

    async def told() -> bool:
        entries = await company.rows("SELECT type FROM contact_events")
        return "contact.deleted" in {entry["type"] for entry in entries}

    await eventually(told)
    return contact_id


class TestRestore:
    async def test_tells_of_it_and_a_list_shows_who_can_be(
        self, company: Shop, other_company: Shop
    ) -> None:
        first, theirs = await deleted(company, LONGEST), await deleted(other_company)
        second = await deleted(company, phone="+5511988880001")
        merged = UUID((await company.value(CreateContact(name="x")))["id"])
        winner = UUID((await company.value(CreateContact(name="y")))["id"])
        await company.value(MergeContacts(contact_id=winner, loser_id=merged))

        page = await company.value(ListDeletedContacts(limit=1))
        assert [one["id"] for one in page["data"]] == [str(second)]
        (shown,) = page["data"]
        assert shown["restorable_until"] > shown["deleted_at"]
        rest = await company.value(ListDeletedContacts(cursor=page["next_cursor"]))
        assert [(one["id"], one["name"]) for one in rest["data"]] == [(str(first), LONGEST)]
        assert not rest["has_more"]

        here = RestoreContact(contact_id=second)
        assert await other_company.refusal(here) == NOT_FOUND
        stale = await company.refusal(here, expected_version=shown["version"] + 1)
        assert stale == ("precondition_failed", "stale_version")
        back = await company.value(here, expected_version=shown["version"])
        assert await company.told("contact.restored") == [{"contact": back}]
        assert (await company.value(here))["version"] == back["version"]
        assert len(await company.told("contact.restored")) == 1

        await company.receive(PHONE)
        await company.value(DeleteContact(contact_id=second))
        await company.receive(PHONE)
        assert len(await company.told("contact.restored")) == 2
        await age(company)
        assert (await company.value(ListDeletedContacts()))["data"] == []
        too_late = RestoreContact(contact_id=first)
        assert await company.refusal(too_late) == ("conflict", "restore_too_late")
        ((hers,)) = (await other_company.value(ListDeletedContacts()))["data"]
        assert hers["id"] == str(theirs)
        wrong = ListDeletedContacts(cursor="x")
        assert await company.refusal(wrong) == ("malformed", "invalid_cursor")

    async def test_leaves_a_number_to_whom_it_was_given_however_it_is_spelled(
        self, company: Shop
    ) -> None:
        await company.receive(("phone", "551188880001"))
        ((contact,)) = await company.contacts()
        gone = UUID(contact["id"])
        await company.value(DeleteContact(contact_id=gone))
        taker = UUID((await company.value(CreateContact(name="Ana")))["id"])
        await company.value(PatchContact(contact_id=taker, phone="+5511988880001"))
        back = await company.value(RestoreContact(contact_id=gone))
        assert (back["phone"], back["identities"]) == (None, [])
        assert (await company.value(GetContact(contact_id=taker)))["phone"] == "+5511988880001"


class TestPurge:
    async def test_leaves_nothing_and_makes_room_for_who_writes_again(
        self, company: Shop, other_company: Shop, database: MigratedDatabase
    ) -> None:
        gone, theirs = await asyncio.gather(everything(company), everything(other_company))
        young = await deleted(company)
        await age(company)
        await age(other_company, days=29)
        async with company.database.tenant(company.id) as tx:
            await tx.execute("UPDATE contacts SET deleted_at = now() WHERE id = $1", young)
            (loser,) = await tx.fetch("SELECT id FROM contacts WHERE merged_into = $1", gone)
        await purged(company)

        assert await company.told("contact.purged") == [
            {"contact_id": str(gone), "merged": [str(loser["id"])]}
        ]
        left = await traces_of(database, company.id, [str(gone), str(loser["id"])])
        assert {place for place in left if not place.startswith(_TOLD)} == set()
        assert await company.refusal(GetContact(contact_id=gone)) == NOT_FOUND
        assert await company.refusal(RestoreContact(contact_id=gone)) == NOT_FOUND
        await company.value(RestoreContact(contact_id=young))

        await company.receive(PHONE, push_name="Neu")
        (back,) = [one for one in await company.contacts() if one["id"] != str(young)]
        assert (back["name"], back["phone"]) == ("Neu", "+5511988880001")
        assert await company.rows("SELECT 1 FROM contact_opt_outs") == []

        hers = await other_company.value(RestoreContact(contact_id=theirs))
        assert (hers["name"], len(hers["identities"])) == (LONGEST, 2)
        assert len(await other_company.rows("SELECT 1 FROM notes")) == 1
        assert await other_company.told("contact.purged") == []

    async def test_spares_who_is_held_or_to_be_erased_and_the_merged_with_them(
        self, company: Shop
    ) -> None:
        held, asked = await deleted(company), await deleted(company)
        loser = UUID((await company.value(CreateContact(name="Loser")))["id"])
        winner = UUID((await company.value(CreateContact(name="Winner")))["id"])
        await company.value(PlaceLegalHold(contact_id=held, reason="Prozess"))
        await company.value(PlaceLegalHold(contact_id=loser, reason="Prozess"))
        await company.value(RequestErasure(contact_id=asked))
        await company.value(MergeContacts(contact_id=winner, loser_id=loser))
        await company.value(DeleteContact(contact_id=winner))
        free = await deleted(company)
        await age(company)
        await purged(company)
        left = {row["id"] for row in await company.rows("SELECT id FROM contacts")}
        assert left == {held, asked, loser, winner}
        assert [t["contact_id"] for t in await company.told("contact.purged")] == [str(free)]

    @pytest.mark.parametrize("meanwhile", ["held", "restored"])
    async def test_spares_who_is_held_or_restored_as_it_looks(
        self, company: Shop, meanwhile: str
    ) -> None:
        contact_id = await deleted(company)
        await age(company)
        async with company.database.tenant(company.id) as tx:
            await tx.execute("SELECT 1 FROM contacts WHERE id = $1 FOR UPDATE", contact_id)
            purging = asyncio.create_task(purged(company))
            await eventually(company.waits_for_a_lock)
            if meanwhile == "held":
                await tx.execute(
                    "INSERT INTO legal_holds VALUES ($1, $2, 'Prozess', NULL, now())",
                    company.id,
                    contact_id,
                )
            else:
                await tx.execute("UPDATE contacts SET deleted_at = NULL WHERE id = $1", contact_id)
        await purging
        assert len(await company.rows("SELECT 1 FROM contacts")) == 1
        assert await company.told("contact.purged") == []

    async def test_has_a_message_that_waits_for_it_applied_anew(self, company: Shop) -> None:
        await company.receive(PHONE)
        ((contact,)) = await company.contacts()
        late = [delivered(company.id, company.message(PHONE))]
        async with company.database.tenant(company.id) as tx:
            await tx.execute("SELECT 1 FROM contacts FOR UPDATE")
            waiting = asyncio.create_task(apply(company.database, on_message_received, late))
            await eventually(company.waits_for_a_lock)
            await tx.execute("DELETE FROM contact_identities")
            await tx.execute("DELETE FROM contacts WHERE id = $1", UUID(contact["id"]))
        with pytest.raises(SerializationError):
            await waiting
        await apply(company.database, on_message_received, late)
        ((again,)) = await company.contacts()
        assert [i["value"] for i in again["identities"]] == [PHONE[1]]

    async def test_costs_no_more_for_many(self, company: Shop, database: MigratedDatabase) -> None:
        costs = []
        async with database.connected(pool_size=1) as one:
            for count in (1, 1, 20):
                shops = [Shop(company.database, company.outside) for _ in range(count)]
                for shop in shops:
                    async with shop.database.tenant(shop.id) as tx:
                        await tx.execute(_LONG_DELETED, uuid4(), shop.id)
                async with one.system("deletions") as tx:
                    with counting(tx) as asked:
                        await purge(tx, kept=KEPT)
                        await tx.write_events()
                costs.append(len(asked))
                for shop in shops:
                    assert len(await shop.told("contact.purged")) == 1
        assert costs[1] == costs[2] < 20

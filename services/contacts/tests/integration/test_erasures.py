"""Forgetting a person, over the bus as the gateway asks for it (docs/adr/0022)."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from asyncpg import SerializationError
from crm_contacts.contacts.consumers import on_message_received
from crm_testing.scenes.contacts import Shop, apply, delivered
from crm_testing.schemas import MigratedDatabase
from crm_testing.services import eventually
from crm_testing.traces import traces_of
from shared_events.channels.erasure import ErasedByChannels
from shared_events.contacts.contact import (
    CreateContact,
    DeleteContact,
    GetContact,
    PatchContact,
    RestoreContact,
)
from shared_events.contacts.contact_list import CreateContactList, PutOnList
from shared_events.contacts.erasure import (
    ApproveErasure,
    GetErasure,
    GetLegalHold,
    LiftLegalHold,
    PlaceLegalHold,
    RequestErasure,
)
from shared_events.contacts.merge import MergeContacts
from shared_events.contacts.note import CreateNote, ListContactNotes
from shared_events.contacts.tracking import CreateTracking
from shared_events.erasing import ErasureReport
from shared_events.gateway.erasure import ErasedByGateway
from shared_events.identity import WhatsAppId
from shared_events.identity import contact_id as first_id
from shared_events.messaging.erasure import ErasedByMessaging
from shared_events.requests import Principal
from shared_events.webhooks.erasure import ErasedByWebhooks

MARK = "Zwölfkäse"
PHONE, LID = ("phone", "5511988880001"), ("lid", "123456789012345")
SPELLINGS = ["5511988880001", "551188880001", "123456789012345"]


async def person(company: Shop) -> UUID:
    """Somebody of whom there is something in every table, all of it marked."""
    await company.receive(PHONE, LID, push_name=MARK)
    ((contact,)) = await company.contacts()
    contact_id = UUID(contact["id"])
    await company.value(
        PatchContact(
            contact_id=contact_id,
            name=MARK,
            email="zwoelfkaese@example.com",
            tags=[MARK],
            custom_fields={"wo": MARK},
        )
    )
    await company.value(
        CreateNote(contact_id=contact_id, content=f"{MARK} +{PHONE[1]}"), idempotency_key="note"
    )
    await company.value(CreateTracking(contact_id=contact_id, source="other", campaign=MARK))
    static = await company.value(CreateContactList(name="Alle", kind="static"))
    await company.value(PutOnList(list_id=UUID(static["id"]), contact_ids=[contact_id]))
    return contact_id


async def approved(company: Shop, contact_id: UUID) -> dict[str, Any]:
    """Its erasure, asked for by one admin and approved by another."""
    asked = await company.value(RequestErasure(contact_id=contact_id))
    return await replace(company, user_id=uuid4()).value(ApproveErasure(erasure_id=asked["id"]))


async def report(company: Shop, kind: type[ErasureReport], erasure: dict[str, Any], n: int) -> None:
    """Another service says that it is done, twice."""
    told = company.envelope(
        kind(
            erasure_id=erasure["id"],
            contact_id=erasure["contact_id"],
            erased={"rows": n},
            aggregates=[UUID(int=n)],
        )
    )
    for _ in range(2):
        await company.outside.publish(told)


async def state(company: Shop, erasure: dict[str, Any]) -> dict[str, Any]:
    return await company.value(GetErasure(erasure_id=erasure["id"]))


class TestErasure:
    async def test_leaves_nothing_and_ends_with_a_certificate(
        self, company: Shop, other_company: Shop, database: MigratedDatabase
    ) -> None:
        contact_id, theirs = await asyncio.gather(person(company), person(other_company))
        assert "notes.content" in await traces_of(database, company.id, [MARK])

        erasure = await approved(company, contact_id)
        assert (erasure["state"], erasure["requested_by"]) == ("running", str(company.user_id))
        assert erasure["approved_by"] not in (None, erasure["requested_by"])
        (started,) = await company.told("erasure.started")
        assert started["services"] == ["messaging", "channels-waha", "gateway"]
        assert {i["value"] for i in started["identities"]} == {PHONE[1], LID[1]}
        assert len(await company.told("contact.erased")) == 1

        for n, kind in enumerate((ErasedByMessaging, ErasedByChannels, ErasedByGateway), start=1):
            await report(company, kind, erasure, n)

        async def last() -> dict[str, Any] | None:
            told = await company.told("erasure.started")
            return told[1] if len(told) == 2 else None

        webhooks = await eventually(last)
        assert webhooks["services"] == ["webhooks"]
        assert webhooks["aggregates"] == [str(UUID(int=n)) for n in (1, 2, 3)]
        await report(company, ErasedByWebhooks, erasure, 9)

        async def done() -> dict[str, Any] | None:
            found = await state(company, erasure)
            return found if found["state"] == "done" else None

        certificate = await eventually(done)
        erased = {s["name"]: s["erased"] for s in certificate["services"]}
        assert erased["webhooks"] == {"rows": 9}
        assert erased["messaging"] == {"rows": 1}
        assert erased["contacts"]["notes"] == erased["contacts"]["trackings"] == 1
        assert erased["contacts"]["command_replies"] == 1
        assert all(s["done_at"] for s in certificate["services"])
        assert await traces_of(database, company.id, [MARK, "zwoelfkaese", *SPELLINGS]) == set()

        untouched = await other_company.value(GetContact(contact_id=theirs))
        assert untouched["name"] == MARK
        page = await other_company.value(ListContactNotes(contact_id=theirs))
        assert len(page["data"]) == 1

    async def test_is_for_good_and_makes_room_for_who_writes_again(
        self, company: Shop, other_company: Shop
    ) -> None:
        contact_id, theirs = await asyncio.gather(person(company), person(other_company))
        early = delivered(company.id, company.message(PHONE, content="unterwegs"))
        first = await approved(company, contact_id)
        gone = ("gone", "contact_erased")
        for request in (
            GetContact(contact_id=contact_id),
            PatchContact(contact_id=contact_id, name="Ana"),
            RestoreContact(contact_id=contact_id),
            DeleteContact(contact_id=contact_id),
            ListContactNotes(contact_id=contact_id),
            RequestErasure(contact_id=contact_id),
            PlaceLegalHold(contact_id=contact_id, reason="zu spät"),
        ):
            assert await company.refusal(request) == gone
            assert await other_company.refusal(request) == ("not_found", "contact_not_found")
        again = await company.value(ApproveErasure(erasure_id=first["id"]))
        assert again["version"] == first["version"]

        # What was told before, and comes after, goes with the erased one.
        await apply(company.database, on_message_received, [early])
        assert await company.contacts() == []
        await company.receive(LID, push_name="Neu")
        await company.receive(PHONE, LID)
        ((fresh,)) = await company.contacts()
        told = (await company.told("erasure.started"))[0]
        next_ids = {i["value"]: i["next_contact_id"] for i in told["identities"]}
        assert fresh["id"] == next_ids[LID[1]] != str(contact_id)
        assert (fresh["name"], fresh["phone"]) == ("Neu", "+5511988880001")

        await approved(company, UUID(fresh["id"]))
        created = await company.value(CreateContact(name="Dritte", phone="+5511988880001"))
        await company.receive(PHONE)
        assert [c["id"] for c in await company.contacts()] == [created["id"]]
        assert created["id"] not in (fresh["id"], str(contact_id))
        ((hers,)) = await other_company.contacts()
        assert hers["id"] == str(theirs)

    async def test_of_many_companies_goes_together_with_who_writes_meanwhile(
        self, company: Shop, other_company: Shop
    ) -> None:
        """A message that waits for the erasure is applied to whoever comes after."""
        contact_id, _ = await asyncio.gather(person(company), person(other_company))
        late = [
            delivered(shop.id, shop.message(PHONE, content="danach"))
            for shop in (company, other_company)
        ]
        for event in late:
            object.__setattr__(event.body, "occurred_at", datetime.now(UTC) + timedelta(minutes=1))
        async with company.database.tenant(company.id) as tx:
            await tx.execute("SELECT 1 FROM contacts WHERE id = $1 FOR UPDATE", contact_id)
            waiting = asyncio.create_task(apply(company.database, on_message_received, late))
            await eventually(company.waits_for_a_lock)
            await tx.execute("DELETE FROM contact_identities WHERE contact_id = $1", contact_id)
            await tx.execute(
                "UPDATE contacts SET erased_at = now(), deleted_at = now() WHERE id = $1",
                contact_id,
            )
        with pytest.raises(SerializationError):
            await waiting


class TestMerged:
    """Whoever was merged into somebody is that person."""

    async def test_go_with_whom_they_were_merged_into(
        self, company: Shop, other_company: Shop, database: MigratedDatabase
    ) -> None:
        theirs = await person(other_company)
        await company.receive(PHONE, push_name=MARK)
        await company.receive(LID, push_name=MARK)
        found = {c["phone"]: UUID(c["id"]) for c in await company.contacts()}
        winner, loser = found[f"+{PHONE[1]}"], found[None]
        third = UUID((await company.value(CreateContact(name=MARK)))["id"])
        await company.value(PlaceLegalHold(contact_id=third, reason="Prozess"))
        pending = await company.value(RequestErasure(contact_id=loser))
        await company.value(MergeContacts(contact_id=loser, loser_id=third))
        await company.value(MergeContacts(contact_id=winner, loser_id=loser))
        second = replace(company, user_id=uuid4())
        for request in (
            RequestErasure(contact_id=loser),
            PlaceLegalHold(contact_id=third, reason="zu spät"),
            ApproveErasure(erasure_id=pending["id"]),
        ):
            assert await second.refusal(request) == ("conflict", "contact_merged")

        assert await company.refusal(RequestErasure(contact_id=winner)) == (
            "conflict",
            "legal_hold",
        )
        await company.value(LiftLegalHold(contact_id=third))
        await approved(company, winner)
        (started,) = await company.told("erasure.started")
        assert {UUID(one) for one in started["merged"]} == {loser, third}
        rows = await company.rows("SELECT * FROM contacts WHERE tenant_id = $1", company.id)
        assert [(r["name"], r["erased_at"] is None) for r in rows] == [("", False)] * 3
        assert {i["value"] for i in started["identities"]} == {PHONE[1], LID[1]}
        fourth = UUID((await company.value(CreateContact(name="Ana")))["id"])
        for gone in (winner, loser, third):
            for about in (
                GetContact(contact_id=gone),
                RequestErasure(contact_id=gone),
                MergeContacts(contact_id=fourth, loser_id=gone),
                MergeContacts(contact_id=gone, loser_id=fourth),
            ):
                assert await company.refusal(about) == ("gone", "contact_erased")
        assert (await other_company.value(GetContact(contact_id=theirs)))["name"] == MARK

    async def test_names_who_only_others_know_and_nobody_who_is_somebody_else(
        self, company: Shop
    ) -> None:
        """The id a number gives may be another contact's, for whom it was mistyped."""
        mistyped = await company.value(CreateContact(name="Bia", phone=f"+{PHONE[1]}"))
        bia = UUID(mistyped["id"])
        await company.value(PatchContact(contact_id=bia, phone="+5511988880009"))
        await company.receive(PHONE, LID)
        her = next(UUID(c["id"]) for c in await company.contacts() if c["id"] != str(bia))
        await approved(company, her)
        (started,) = await company.told("erasure.started")
        assert started["merged"] == [str(first_id(company.id, WhatsAppId("lid", LID[1])))]
        assert (await company.value(GetContact(contact_id=bia)))["name"] == "Bia"

    async def test_drops_files_of_jobs_that_have_ended(
        self, company: Shop, other_company: Shop, database: MigratedDatabase
    ) -> None:
        contact_id = await person(company)
        for shop in (company, other_company):
            for job in ("completed", "running"):
                await with_file(shop, job)
        erasure = await approved(company, contact_id)
        for kind in (ErasedByMessaging, ErasedByChannels, ErasedByGateway):
            await report(company, kind, erasure, 1)

        async def told_twice() -> bool:
            return len(await company.told("erasure.started")) == 2

        await eventually(told_twice)
        await report(company, ErasedByWebhooks, erasure, 1)

        async def done() -> bool:
            return bool((await state(company, erasure))["state"] == "done")

        await eventually(done)
        files = "SELECT content FROM job_parts WHERE tenant_id = $1"
        assert [row["content"] for row in await company.rows(files, company.id)] == [b"running"]
        assert len(await other_company.rows(files, other_company.id)) == 2


async def with_file(shop: Shop, state: str) -> None:
    """A job in this state, with a piece of a file."""
    job_id = uuid4()
    async with shop.database.tenant(shop.id) as tx:
        await tx.execute(
            "INSERT INTO jobs (id, tenant_id, kind, state, done, errors, position, cursor,"
            " correlation_id, due_at, version, created_at, updated_at) VALUES ($1, $2, 'export',"
            " $3::text, 0, 0, 0, $3::text, 'c', now() + interval '1 day', 1, now(), now())",
            job_id,
            shop.id,
            state,
        )
        await tx.execute(
            "INSERT INTO job_parts (tenant_id, job_id, file, position, content, expires_at)"
            " VALUES ($1, $2, 'file', 0, $3, now() + interval '1 day')",
            shop.id,
            job_id,
            state.encode(),
        )


class TestApproval:
    async def test_needs_a_second_admin_where_there_is_one(
        self, company: Shop, other_company: Shop
    ) -> None:
        contact_id = await person(company)
        asked = await company.value(RequestErasure(contact_id=contact_id), idempotency_key="1")
        repeated = await company.value(RequestErasure(contact_id=contact_id), idempotency_key="1")
        assert repeated == asked
        approve = ApproveErasure(erasure_id=asked["id"])
        assert (asked["state"], asked["services"]) == ("requested", [])
        problem = await company.problem(RequestErasure(contact_id=contact_id))
        assert (problem.code, problem.extra["existing_id"]) == ("erasure_exists", asked["id"])
        assert await company.refusal(approve) == ("conflict", "second_admin_required")
        other = await other_company.refusal(approve)
        assert other == ("not_found", "erasure_not_found")
        assert await other_company.refusal(GetErasure(erasure_id=asked["id"])) == other
        second = replace(company, user_id=uuid4())
        stale = await second.refusal(approve, expected_version=7)
        assert stale == ("precondition_failed", "stale_version")
        assert (await company.value(GetContact(contact_id=contact_id)))["name"] == MARK

        def ask(**who: Any) -> Any:
            principal = Principal(tenant_id=company.id, **who)
            client = company.outside.client
            return client.call(approve, principal=principal, correlation_id="request-1")

        by_key = await ask(api_key_id=uuid4())
        assert by_key.problem is not None
        assert by_key.problem.code == "person_required"
        alone = await ask(user_id=company.user_id, sole_admin=True)
        assert alone.value is not None
        assert alone.value["approved_by"] == str(company.user_id)

    async def test_waits_for_a_legal_hold_to_be_lifted(
        self, company: Shop, other_company: Shop
    ) -> None:
        contact_id = UUID((await company.value(CreateContact(name=MARK)))["id"])
        asked = await company.value(RequestErasure(contact_id=contact_id))
        longest = "é" * 1000
        place = PlaceLegalHold(contact_id=contact_id, reason=longest)
        placed = await company.value(place)
        assert (placed["reason"], placed["placed_by"]) == (longest, str(company.user_id))
        assert await company.value(GetLegalHold(contact_id=contact_id)) == placed
        missing = ("not_found", "legal_hold_not_found")
        for request in (GetLegalHold(contact_id=contact_id), LiftLegalHold(contact_id=contact_id)):
            assert await other_company.refusal(request) == missing
        held = ("conflict", "legal_hold")
        second = replace(company, user_id=uuid4())
        assert await second.refusal(ApproveErasure(erasure_id=asked["id"])) == held
        assert await second.refusal(RequestErasure(contact_id=contact_id)) == held
        await company.value(DeleteContact(contact_id=contact_id))  # who is deleted can be erased
        await company.value(LiftLegalHold(contact_id=contact_id))
        erasure = await second.value(ApproveErasure(erasure_id=asked["id"]), expected_version=1)
        assert (erasure["state"], erasure["version"]) == ("running", 2)

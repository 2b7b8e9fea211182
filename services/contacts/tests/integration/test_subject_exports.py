"""All that is kept about one person, gathered for it over the bus; messaging is played."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID, uuid4

from crm_contacts.erasures.repository import JOB_PARTS
from crm_testing.scenes.contacts import Shop
from crm_testing.scenes.pipelines import Funnel
from crm_testing.services import eventually
from shared_events.contacts.contact import CreateContact, DeleteContact, PatchContact
from shared_events.contacts.contact_list import CreateContactList, PutOnList
from shared_events.contacts.erasure import ApproveErasure, RequestErasure
from shared_events.contacts.merge import MergeContacts
from shared_events.contacts.note import CreateNote
from shared_events.contacts.opt_out import PutOptOut
from shared_events.contacts.subject_export import (
    CreateSubjectExport,
    GetSubjectExport,
    ReadSubjectExport,
    SubjectFile,
)
from shared_events.contacts.tracking import CreateTracking
from shared_events.messaging.subject_export import SubjectMessagesGathered

NOTES = 101
"""More than one page of them."""
LONGEST = "ã" * 4096
_MORE_NOTES = """
INSERT INTO notes (id, tenant_id, contact_id, content, type, priority, pinned, author_type, version,
    created_at, updated_at)
SELECT gen_random_uuid(), $1, $2, $3, 'general', 'normal', false, 'agent', 1, now(), now()
FROM generate_series(1, $4::int) RETURNING id
"""
_TYPES = "SELECT DISTINCT type FROM contact_events"
GONE = ("gone", "contact_erased")


async def person(company: Shop, name: str) -> UUID:
    """Somebody of whom there is something in every file."""
    funnel = await Funnel.of(company, "Novo")
    contact_id = await funnel.enter("Novo", name)
    await company.value(PatchContact(contact_id=contact_id, custom_fields={"cpf": name}))
    await company.value(CreateNote(contact_id=contact_id, content=LONGEST))
    await company.rows(_MORE_NOTES, company.id, contact_id, LONGEST, NOTES - 1)
    await company.value(CreateTracking(contact_id=contact_id, source="other", campaign=name))
    static = await company.value(CreateContactList(name=f"Lista {name}"))
    await company.value(PutOnList(list_id=UUID(static["id"]), contact_ids=[contact_id]))
    await company.value(PutOptOut(contact_id=contact_id, channel_id="all", reason=name))
    await told_of(company, "contact.updated", "note.added", "tracking.created", "contact.opted_out")
    return contact_id


async def told_of(company: Shop, *types: str) -> None:
    """Wait until these stand in timelines."""

    async def written() -> bool:
        return {*types} <= {row["type"] for row in await company.rows(_TYPES)}

    await eventually(written)


async def waits(company: Shop, export_id: UUID) -> dict[str, Any]:
    """The job, once this service has done its part."""

    async def own_part() -> dict[str, Any] | None:
        found = await company.rows(
            "SELECT * FROM jobs WHERE id = $1 AND options ->> 'file' IS NULL", export_id
        )
        return found[0] if found else None

    job: dict[str, Any] = await eventually(own_part)
    return job


async def report(company: Shop, export_id: UUID, contact_id: UUID, done: int) -> None:
    """Messaging has gathered so many of eight entries, and says so twice."""
    told = company.envelope(
        SubjectMessagesGathered(
            export_id=export_id, contact_id=contact_id, done=done, total=8, complete=done == 8
        )
    )
    for _ in range(2):
        await company.outside.publish(told)


async def completed(company: Shop, export_id: UUID) -> dict[str, Any]:
    """The export, once it is."""

    async def ended() -> dict[str, Any] | None:
        found = await company.value(GetSubjectExport(export_id=export_id))
        return found if found["state"] == "completed" else None

    job: dict[str, Any] = await eventually(ended)
    return job


async def files(company: Shop, export_id: UUID) -> dict[str, list[Any]]:
    """All files of contacts, entry by entry."""
    found: dict[str, list[Any]] = {}
    for file in get_args(SubjectFile):
        cursor: int | None = 0
        while cursor is not None:
            request = ReadSubjectExport(export_id=export_id, file=file, cursor=cursor)
            part = await company.value(request)
            lines = part["content"].splitlines()
            found.setdefault(file, []).extend(map(json.loads, lines))
            cursor = part["next_cursor"]
    return found


class TestSubjectExport:
    async def test_holds_all_that_is_kept_and_goes_with_the_person(
        self, company: Shop, other_company: Shop
    ) -> None:
        hers, theirs = await asyncio.gather(person(company, "Ana"), person(other_company, "Bia"))
        loser = await company.value(CreateContact(name="Aninha"))
        await company.value(MergeContacts(contact_id=hers, loser_id=loser["id"]))
        await told_of(company, "contact.merged")
        begun = await company.value(CreateSubjectExport(contact_id=hers))
        other = await other_company.value(CreateSubjectExport(contact_id=theirs))
        export_id, other_id = UUID(begun["id"]), UUID(other["id"])
        assert (begun["state"], begun["done"], begun["url"]) == ("queued", 0, None)
        (started,) = await company.told("subject.export_started")
        assert (started["export_id"], started["contact_id"]) == (begun["id"], str(hers))

        waiting = await waits(company, export_id)
        assert (waiting["state"], waiting["total"]) == ("running", None)
        read = ReadSubjectExport(export_id=export_id)
        assert await company.refusal(read) == ("conflict", "subject_export_not_ready")
        await report(company, export_id, hers, 4)
        await report(company, export_id, hers, 8)
        await report(company, other_id, hers, 8)  # not this company's: it means nothing
        job = await completed(company, export_id)
        assert job["done"] == job["total"] == waiting["done"] + 8
        assert job["url"] == f"subject-export:{export_id}"
        told = [one["job"] for one in await company.told("subject.export_progressed")]
        assert [told[0]["state"], told[-1]["state"]] == ["queued", "completed"]
        assert {one["url"] for one in told} == {None}
        await waits(other_company, other_id)
        still = await other_company.value(GetSubjectExport(export_id=other_id))
        assert (still["state"], still["url"]) == ("running", None)

        found = await files(company, export_id)
        assert {file: len(entries) for file, entries in found.items()} == {
            **{"contact": 1, "notes": NOTES, "trackings": 1, "moves": 1, "lists": 1, "opt_outs": 1},
            "timeline": waiting["done"] - NOTES - 5,
        }
        (contact,) = found["contact"]
        assert (contact["id"], contact["custom_fields"]) == (str(hers), {"cpf": "Ana"})
        assert {note["content"] for note in found["notes"]} == {LONGEST}
        assert len({note["id"] for note in found["notes"]}) == NOTES
        assert found["lists"][0]["name"] == "Lista Ana"
        assert {"contact.created", "contact.merged", "note.added", "tracking.created"} <= {
            entry["type"] for entry in found["timeline"]
        }
        for known in (GetSubjectExport(export_id=export_id), read):
            refusal = await other_company.refusal(known)
            assert refusal == ("not_found", "subject_export_not_found")
        refusal = await other_company.refusal(CreateSubjectExport(contact_id=hers))
        assert refusal == ("not_found", "contact_not_found")

        asked = await company.value(RequestErasure(contact_id=hers))
        await replace(company, user_id=uuid4()).value(ApproveErasure(erasure_id=asked["id"]))
        for request in (
            CreateSubjectExport(contact_id=hers),
            GetSubjectExport(export_id=export_id),
            read,
        ):
            assert await company.refusal(request) == GONE
        # What an erasure does at its end, of which those about others are left.
        another = await company.value(CreateContact(name="Cris"))
        kept = await company.value(CreateSubjectExport(contact_id=another["id"]))
        await waits(company, UUID(kept["id"]))
        await report(company, UUID(kept["id"]), UUID(another["id"]), 8)
        await completed(company, UUID(kept["id"]))
        async with company.database.tenant(company.id) as tx:
            await tx.execute(JOB_PARTS, company.id, 1000, datetime.now(UTC), [hers])
        left = await company.rows("SELECT DISTINCT job_id FROM job_parts")
        assert [row["job_id"] for row in left] == [UUID(kept["id"])]

    async def test_fails_when_the_person_goes_and_expires_after_a_day(
        self, company: Shop, other_company: Shop
    ) -> None:
        made = [await company.value(CreateContact(name="Ana")) for _ in range(2)]
        first, second = (UUID(one["id"]) for one in made)
        export_id, later = [
            UUID((await company.value(CreateSubjectExport(contact_id=one)))["id"])
            for one in (first, second)
        ]
        await waits(company, export_id)
        await company.value(DeleteContact(contact_id=first))
        await company.rows("UPDATE jobs SET due_at = now() WHERE id = $1 RETURNING id", export_id)

        async def failed() -> dict[str, Any] | None:
            jobs = [one["job"] for one in await company.told("subject.export_progressed")]
            return next((job for job in jobs if job["state"] == "failed"), None)

        job = await eventually(failed)
        assert (job["id"], job["failure"]["code"]) == (str(export_id), "contact_not_found")
        await report(company, export_id, first, 8)  # too late, and no matter

        await waits(company, later)
        await report(company, later, second, 8)
        await completed(company, later)
        await company.rows(
            "UPDATE jobs SET created_at = now() - interval '25 hours' WHERE id = $1 RETURNING id",
            later,
        )
        assert (await company.value(GetSubjectExport(export_id=later)))["url"] is None
        refusal = await company.refusal(ReadSubjectExport(export_id=later))
        assert refusal == ("conflict", "subject_export_expired")

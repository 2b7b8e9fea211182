"""A merge undone: whose conversations, sessions and messages are whose."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from asyncpg import Record
from crm_messaging.merging.consumers import on_contact_merged, on_contact_unmerged
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.sessions import service as sessions
from crm_testing.scenes.messaging import PHONE, Scene
from service_kit.database import Database
from shared_events import examples
from shared_events.contacts.contact import Contact, ContactIdentity
from shared_events.contacts.merge import ContactMerged, ContactUnmerged
from shared_events.identity import IdentityKind, WhatsAppId, contact_id

LID = "1" * 49
LONGEST = "é" * 255
EARLIER = datetime.now(UTC) - timedelta(minutes=1)


def person(scene: Scene, kind: IdentityKind = "phone", value: str = PHONE) -> UUID:
    return contact_id(scene.tenant_id, WhatsAppId(kind, value))


def hidden(scene: Scene) -> UUID:
    return person(scene, "lid", LID)


def contact(owner: UUID, name: str = LONGEST) -> Contact:
    example = examples.load("contact.created")["data"]["contact"]
    return Contact.model_validate(
        {**example, "id": owner, "name": name, "phone": f"+{PHONE}", "identities": []}
    )


async def write(scene: Scene, *texts: str, by_lid: bool = False) -> None:
    """Ana writes from her phone; Mari from her hidden id."""
    for text in texts:
        said = scene.received(text, phone=None, lid=LID) if by_lid else scene.received(text)
        await scene.apply(on_message_received, said)


async def merge(scene: Scene, seq: int = 100) -> None:
    told = ContactMerged(
        winner=contact(person(scene)),
        loser=contact(hidden(scene), "Mari"),
        identities=[ContactIdentity(kind="lid", value=LID)],
    )
    await scene.apply(on_contact_merged, told, seq=seq)


async def part(scene: Scene, seq: int = 200, merged_at: datetime = EARLIER) -> None:
    told = ContactUnmerged(
        winner=contact(person(scene), "Ana"),
        loser=contact(hidden(scene), "Mari"),
        identities=[ContactIdentity(kind="lid", value=LID)],
        merged_at=merged_at,
    )
    await scene.apply(on_contact_unmerged, told, seq=seq)


async def said_by(scene: Scene) -> dict[str, list[tuple[str, str]]]:
    """Conversations by whose they are: what is in each, and whose each message is."""
    names = {person(scene): "ana", hidden(scene): "mari"}
    rows = await scene.rows(
        "SELECT c.contact_id AS whose, m.content, m.contact_id FROM conversations c"
        " JOIN messages m ON m.conversation_id = c.id ORDER BY c.id, m.seq"
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        said = row["content"], names[row["contact_id"]]
        found.setdefault(names[row["whose"]], []).append(said)
    return found


async def everything(scene: Scene) -> list[list[Record]]:
    tables = "contact_refs", "identity_refs", "sessions", "conversations", "messages"
    return [list(await scene.rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3")) for table in tables]  # noqa: S608


async def active(scene: Scene) -> set[UUID]:
    rows = await scene.sessions()
    return {row["contact_id"] for row in rows if row["status"] == "active"}


@pytest.fixture
async def pair(database: Database) -> tuple[Scene, Scene]:
    """Two companies that both write to, of which two contacts were made one."""
    pair = Scene(database), Scene(database)
    for scene in pair:
        await write(scene, "ana 1")
        await write(scene, "mari 1", "mari 2", by_lid=True)
        await merge(scene)
    return pair


class TestParted:
    async def test_have_their_conversations_again(self, pair: tuple[Scene, Scene]) -> None:
        scene, other = pair
        before = await everything(other)
        await part(scene)
        await part(scene)  # once more, as after a crash
        await write(scene, "mari 3", by_lid=True)
        await write(scene, "ana 2")
        assert await said_by(scene) == {
            "ana": [("ana 1", "ana"), ("ana 2", "ana")],
            "mari": [("mari 1", "mari"), ("mari 2", "mari"), ("mari 3", "mari")],
        }
        whose = {s["contact_id"] for s in await scene.sessions()}
        assert whose == await active(scene) == {person(scene), hidden(scene)}
        (mari,) = await scene.rows(
            "SELECT * FROM contact_refs WHERE contact_id = $1", hidden(scene)
        )
        assert (mari["deleted"], mari["merged_into"], mari["name"]) == (False, None, "Mari")
        assert await everything(other) == before

    async def test_keep_what_was_said_meanwhile_where_it_was_said(
        self, pair: tuple[Scene, Scene]
    ) -> None:
        scene, _ = pair
        await write(scene, "mari 3", by_lid=True)
        await part(scene)
        await write(scene, "mari 4", by_lid=True)
        assert await said_by(scene) == {
            "ana": [("ana 1", "ana"), ("mari 3", "ana")],
            "mari": [("mari 1", "mari"), ("mari 2", "mari"), ("mari 4", "mari")],
        }

    async def test_part_a_thread_that_went_on_as_the_winners(self, scene: Scene) -> None:
        """Ana had never written here; she went on in Mari's thread, which is Mari's again."""
        await write(scene, "mari 1", by_lid=True)
        await merge(scene)
        await write(scene, "ana 1")
        await write(scene, "mari 2", by_lid=True)
        assert list(await said_by(scene)) == ["ana"]
        await part(scene)
        assert await active(scene) == {hidden(scene)}
        assert await said_by(scene) == {
            "mari": [("mari 1", "mari"), ("ana 1", "mari"), ("mari 2", "mari")]
        }
        await write(scene, "ana 2")
        await write(scene, "mari 3", by_lid=True)
        found = await said_by(scene)
        assert found["ana"] == [("ana 2", "ana")]
        assert found["mari"][-1] == ("mari 3", "mari")
        assert await active(scene) == {person(scene), hidden(scene)}

    async def test_have_the_sessions_of_their_conversations(
        self, pair: tuple[Scene, Scene]
    ) -> None:
        scene, _ = pair
        for session in await scene.sessions():
            async with scene.database.tenant(scene.tenant_id) as tx:
                await sessions.end(tx, session["id"], "resolved")
        await write(scene, "ana 2")
        await part(scene)
        rows = await scene.rows(
            "SELECT DISTINCT s.id, s.contact_id, c.contact_id AS whose FROM sessions s"
            " JOIN messages m ON m.session_id = s.id JOIN conversations c"
            " ON c.id = m.conversation_id"
        )
        assert {row["contact_id"] for row in rows} == {person(scene), hidden(scene)}
        assert all(row["contact_id"] == row["whose"] for row in rows)


class TestLate:
    async def test_word_changes_nothing_of_who_was_merged_again(
        self, pair: tuple[Scene, Scene]
    ) -> None:
        scene, _ = pair
        await part(scene, seq=200)
        await merge(scene, seq=300)
        before = await said_by(scene)
        await part(scene, seq=200)
        await write(scene, "mari 3", by_lid=True)
        (mari,) = await scene.rows(
            "SELECT * FROM contact_refs WHERE contact_id = $1", hidden(scene)
        )
        assert mari["merged_into"] == person(scene)
        assert list(before) == list(await said_by(scene)) == ["ana"]

    async def test_of_the_merge_is_no_word_any_more(self, scene: Scene) -> None:
        await write(scene, "ana 1")
        await write(scene, "mari 1", by_lid=True)
        await part(scene, seq=200)
        await merge(scene, seq=100)
        await write(scene, "mari 2", by_lid=True)
        assert await said_by(scene) == {
            "ana": [("ana 1", "ana")],
            "mari": [("mari 1", "mari"), ("mari 2", "mari")],
        }

    async def test_of_contacts_nobody_told_us_of_is_believed(self, scene: Scene) -> None:
        await part(scene)
        await write(scene, "mari 1", by_lid=True)
        assert await said_by(scene) == {"mari": [("mari 1", "mari")]}

"""Conversations on the way of messages: one for each contact and channel, or group."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from asyncpg import Record
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.service import send
from crm_messaging.sessions import service as sessions
from crm_testing.scenes.messaging import Scene
from crm_testing.schemas import MigratedDatabase, migrate
from service_kit.database import Database
from shared_events.identity import conversation_id
from shared_events.messaging.message import SendMessage
from shared_events.services import MESSAGING

GROUP = f"{'9' * 49}@g.us"
ANA, LID, RUI = "5511988880001", "123456789", "5511988880002"


async def conversations(company: Scene) -> list[Record]:
    """All of a company's: Ana's, Rui's, the group."""
    return await company.rows(
        "SELECT c.* FROM conversations c LEFT JOIN contact_refs USING (tenant_id, contact_id)"
        " ORDER BY phone"
    )


async def together(database: Database, companies: Sequence[Scene], *texts: str) -> None:
    """Let Ana and Rui of each company write these texts, in one batch, twice over."""
    batch = [
        event
        for company in companies
        for text in texts
        for phone in (ANA, RUI)
        for event in company.events(
            [company.received(text, phone=phone, external_id=f"{phone}{text}{company.tenant_id}")]
        )
    ]
    async with database.tenants(sorted(c.tenant_id for c in companies)) as tx:
        await on_message_received(tx, batch)
        await on_message_received(tx, batch)


async def answer(company: Scene, contact_id: UUID) -> None:
    request = SendMessage(contact_id=contact_id, channel_id=company.channel.id, content="Oi!")
    async with company.database.tenant(company.tenant_id) as tx:
        await send(tx, request, None)


@pytest.fixture
async def pair(database: Database) -> tuple[Scene, Scene]:
    """Two companies with the same two customers, who have each written three times."""
    pair = Scene(database), Scene(database)
    await together(database, pair, "1", "2")
    await together(database, pair, "2", "3")
    return pair


class TestArrival:
    async def test_numbers_each_message_once_in_its_own(self, pair: tuple[Scene, Scene]) -> None:
        for company in pair:
            messages = await company.messages()
            for conversation in await conversations(company):
                own = [m for m in messages if m["conversation_id"] == conversation["id"]]
                assert [(m["seq"], m["content"]) for m in own] == [(1, "1"), (2, "2"), (3, "3")]
                assert {m["contact_id"] for m in own} == {conversation["contact_id"]}
                assert {m["session_id"] for m in own} == {conversation["session_id"]}
                counts = [conversation[n] for n in ("seq", "unread_count", "read_seq")]
                assert (counts, conversation["status"]) == ([3, 3, 0], "active")
            assert len(await conversations(company)) == 2

    async def test_what_the_company_writes_reads_all_before_it(
        self, pair: tuple[Scene, Scene]
    ) -> None:
        company, other = pair
        before = await conversations(other)
        ana, rui = await conversations(company)
        await answer(company, ana["contact_id"])
        phone: dict[str, Any] = {"direction": "outbound", "origin": "phone"}
        said = company.received("daqui", phone=RUI, **phone), company.received("4", phone=RUI)
        await company.apply(on_message_received, *said, company.received("4", phone=ANA))
        ana, rui = await conversations(company)
        assert [ana[n] for n in ("seq", "unread_count", "read_seq")] == [5, 1, 4]
        assert [rui[n] for n in ("seq", "unread_count", "read_seq")] == [5, 1, 4]
        assert await conversations(other) == before

    async def test_follows_the_session(self, pair: tuple[Scene, Scene]) -> None:
        company, agent = pair[0], uuid4()
        first, _ = await conversations(company)
        async with company.database.tenant(company.tenant_id) as tx:
            await tx.execute(
                "INSERT INTO agent_refs (tenant_id, agent_id, name, active)"
                " VALUES ($1, $2, 'Bia', true)",
                company.tenant_id,
                agent,
            )
            await sessions.assign(tx, first["session_id"], agent, expected_version=None)
        await company.apply(on_message_received, company.received("4"))

        async def now() -> tuple[object, ...]:
            row, other = await conversations(company)
            assert (other["status"], other["assigned_agent_id"]) == ("active", None)
            return row["session_id"], row["status"], row["assigned_agent_id"]

        assert await now() == (first["session_id"], "active", agent)
        async with company.database.tenant(company.tenant_id) as tx:
            await sessions.end(tx, first["session_id"], "resolved")
        assert await now() == (first["session_id"], "closed", None)
        await company.apply(on_message_received, company.received("5"))
        session_id, status, assigned = await now()
        assert session_id != first["session_id"]
        assert (status, assigned) == ("active", None)
        assert [m["seq"] for m in await company.messages() if m["content"] == "5"] == [5]

    async def test_is_one_whatever_id_a_person_writes_from(self, scene: Scene) -> None:
        hidden: dict[str, Any] = {"lid": LID, "chat_id": f"{LID}@lid"}
        for told in (
            scene.received("1", phone=None, **hidden),
            scene.received("2", phone=ANA, **hidden),
            scene.received("3", phone=ANA),
            scene.received("4", phone="551188880001"),
        ):
            await scene.apply(on_message_received, told)
        (conversation,) = await conversations(scene)
        assert (conversation["seq"], conversation["is_group"]) == (4, False)

    async def test_of_a_group_is_its_own(self, scene: Scene) -> None:
        group: dict[str, Any] = {"chat_id": GROUP, "is_group": True}
        await scene.apply(
            on_message_received,
            scene.received("g1", phone=ANA, **group),
            scene.received("só nós", phone=ANA),
            scene.received("g2", phone=RUI, **group),
        )
        rows = {row["is_group"]: row for row in await conversations(scene)}
        assert (rows[True]["seq"], rows[False]["seq"]) == (2, 1)
        assert (rows[True]["chat_id"], rows[True]["contact_id"]) == (GROUP, None)
        assert rows[True]["session_id"] not in (None, rows[False]["session_id"])
        said = [m for m in await scene.messages() if m["conversation_id"] == rows[True]["id"]]
        assert len({m["contact_id"] for m in said}) == 2


class TestMigration:
    async def test_gives_messages_of_before_their_place(
        self, own_database: MigratedDatabase, pair: tuple[Scene, Scene]
    ) -> None:
        """The release before numbered within sessions and knew no conversation."""
        company, _ = pair
        group: dict[str, Any] = {"chat_id": GROUP, "is_group": True}
        await company.apply(on_message_received, company.received("g", **group))
        first, _, _ = await conversations(company)
        async with company.database.tenant(company.tenant_id) as tx:
            await sessions.end(tx, first["session_id"], "resolved")
        bogus = company.received("4", sent_at="2099-01-01T00:00:00Z")
        await company.apply(on_message_received, bogus)
        kept = {c.tenant_id: (await conversations(c), await c.messages()) for c in pair}
        admin = await asyncpg.connect(own_database.admin_url)
        await admin.execute(f"SET search_path = {own_database.schema}")
        await admin.execute(
            "UPDATE messages SET conversation_id = NULL, placed_at = now(), seq = (SELECT count(*)"
            " FROM messages o WHERE o.session_id = messages.session_id AND o.id <= messages.id);"
            "UPDATE contact_refs SET search_text = ''; TRUNCATE conversations;"
            " UPDATE alembic_version SET version_num = '0007'"
        )
        await admin.close()
        await migrate(own_database, MESSAGING.package, "0008")
        async with own_database.connected() as fresh:  # statements of before have their plans
            for each in pair:
                each.database = fresh
                were, said = kept[each.tenant_id]
                found = {row["id"]: row for row in await conversations(each)}
                assert found.keys() == {row["id"] for row in were}
                for row in were:
                    new = found[row["id"]]
                    same = ["seq", "contact_id", "chat_id"]
                    same += [] if row["is_group"] else ["session_id", "status"]
                    assert [new[n] for n in same] == [row[n] for n in same]
                    assert (new["unread_count"], new["read_seq"]) == (0, row["seq"])
                place = ("id", "conversation_id", "seq", "placed_at")
                assert [[m[n] for n in place] for m in await each.messages()] == [
                    [m[n] for n in place] for m in said
                ]
                names = {r["search_text"] for r in await each.rows("SELECT * FROM contact_refs")}
                assert names >= {f" ana +{ANA}", f" ana +{RUI}"}
                assert "" not in names
            assert conversation_id(company.channel.id, GROUP) in {
                row["id"] for row in await conversations(company)
            }

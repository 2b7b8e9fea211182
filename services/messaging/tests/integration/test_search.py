"""What the search of messages finds, and what it reads for it (docs/adr/0027)."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from crm_messaging.messages import listing
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.changes.consumers import on_message_edited
from crm_testing.costs import counting
from crm_testing.scenes.messaging import Scene
from crm_testing.schemas import MigratedDatabase
from service_kit.calls import Call
from service_kit.database import Database
from shared_events.channels.traffic import ChannelMessageEdited
from shared_events.messaging.message import ListMessages, Message
from shared_events.requests import Page, Principal

CROWD = 6000
_CROWD = """
INSERT INTO messages (id, tenant_id, contact_id, session_id, conversation_id, channel_id, chat_id,
    seq, direction, origin, content_type, content, metadata, status, placed_at)
SELECT gen_random_uuid(), m.tenant_id, m.contact_id, m.session_id, m.conversation_id, m.channel_id,
    m.chat_id, -i, 'inbound', 'customer', CASE i WHEN 9 THEN 'image' ELSE 'text' END,
    CASE WHEN i = 7 THEN 'Um pedido raríssimo' WHEN i % 30 = 0 THEN 'Boa tarde, ' || i
        ELSE 'Bom dia, ' || i END, '{}',
    CASE i WHEN 8 THEN 'failed' ELSE 'delivered' END, now() - i * interval '1 minute'
FROM messages AS m, generate_series(1, $2::integer) AS i WHERE m.tenant_id = $1 AND m.seq = 1
"""
_READ = """
SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::integer
FROM pg_stat_xact_user_tables WHERE relname = 'messages'
"""


@pytest.fixture
async def other(database: Database) -> Scene:
    return Scene(database)


async def page(scene: Scene, **query: Any) -> Page[Message]:
    async with scene.database.tenant(scene.tenant_id) as tx:
        call = Call(Principal(tenant_id=scene.tenant_id), "request-1", None)
        return await listing.list_messages(tx, ListMessages(**query), call)


async def found(scene: Scene, search: str, **query: Any) -> list[str | None]:
    return [each.content for each in (await page(scene, search=search, **query)).data]


async def say(scene: Scene, said: Sequence[str]) -> None:
    await scene.apply(on_message_received, *map(scene.received, said))


class TestWords:
    async def test_are_found_as_they_are_said_spelled_and_begun(
        self, scene: Scene, other: Scene
    ) -> None:
        said = (
            "As promoções: não percam! #A-1234, e-mail joao@x.com.br",
            "Qual é o ORÇAMENTO do pedido 00778?",
            "привет 你好 ① Ça va",
            "x" * 65536,
        )
        for company in (scene, other):
            await say(company, said)
        for search, at in (
            *(("promoções", 0), ("promocao", 0), ("PROMOÇÃO", 0), ("nao", 0), ("1234", 0)),
            *(("a-1234", 0), ("joao@x.com.br", 0), ("João", 0), ("e-mail", 0), ("percam!", 0)),
            *(("orcamentos", 1), ("orç", 1), ("qual orçamento", 1), ("pedidos", 1), ("00778", 1)),
            *(("приве", 2), ("你好", 2), ("va ca", 2), ("1 ca", 2)),
        ):
            assert await found(scene, search) == [said[at]], search
        for search in ("percam orçamento", "rçamento", "\u0301", "?!", "👍", "' | zz:*", "x" * 200):
            assert await found(scene, search) == [], search

    async def test_with_signs_in_them_are_found_to_the_letter(self, scene: Scene) -> None:
        await say(scene, ["100% de desconto", "1000 de desconto", "Promoção_2 (100%)", "oi👍 %"])
        for search, texts in (
            ("100%", ["100% de desconto", "Promoção_2 (100%)"]),
            ("DESCONTO, 100%!", ["100% de desconto"]),
            ("promocao_2", ["Promoção_2 (100%)"]),
            ("promocao-2", []),
            ("100_", []),
            ("OI👍", ["oi👍 %"]),
            ("%", []),
        ):
            assert await found(scene, search) == texts, search

    async def test_all_of_them_are_wanted(self, scene: Scene) -> None:
        words = [f"w{n}x" for n in range(8)]
        await say(scene, [" ".join(words), " ".join(words[:-1])])
        assert await found(scene, " ".join(words)) == [" ".join(words)]
        assert len(await found(scene, " ".join(words[1:-1]))) == 2

    async def test_are_those_of_the_last_edit(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received("Às nove", external_id="A"))
        edit = ChannelMessageEdited.model_validate(
            {
                "channel_id": scene.channel.id,
                "external_id": "A",
                "edit_id": "E",
                "content": "Às dez",
                "edited_at": (await page(scene)).data[0].created_at,
                "person": {"identities": [{"kind": "phone", "value": "5511988880001"}]},
                "from_us": False,
            }
        )
        await scene.apply(on_message_edited, edit)
        assert await found(scene, "nove") == []
        assert await found(scene, "dez") == ["Às dez"]


class TestFunction:
    async def test_gives_out_what_is_said_to_whoever_acts_and_to_nobody_else(
        self, scene: Scene, other: Scene
    ) -> None:
        for company in (scene, other):
            await say(company, ["Uma raridade"])
        asked = "SELECT tenant_id FROM messages_found('raridade')"
        async with scene.database.tenant(scene.tenant_id) as tx:
            assert [row["tenant_id"] for row in await tx.fetch(asked)] == [scene.tenant_id]
        async with scene.database.tenants([scene.tenant_id, other.tenant_id]) as tx:
            assert await tx.fetch(asked) == []
        async with scene.database.acquire() as nobody:
            assert await nobody.fetch(asked) == []


class TestCosts:
    async def test_rare_words_take_the_index_and_common_ones_a_page(
        self, scene: Scene, other: Scene, own_database: MigratedDatabase
    ) -> None:
        for company in (scene, other):
            await say(company, ["Olá"])
            async with company.database.tenant(company.tenant_id) as tx:
                await tx.execute(_CROWD, company.tenant_id, CROWD)
        # What autovacuum does: a young index keeps a list of what it has to take in.
        admin = await asyncpg.connect(own_database.admin_url)
        await admin.execute("VACUUM ANALYZE messaging.messages")
        await admin.close()
        assert await self._reads(scene, search="RARISSIMO") == 1
        assert await self._reads(scene, search="bom", limit=5) == 5
        assert await self._reads(scene, search="rarissimo", channel_id=uuid4()) == 0
        for query in ({"status": "failed"}, {"content_type": "image"}):
            assert await self._reads(scene, **query) == 1
        assert await self._reads(scene, channel_id=uuid4()) == 0
        first = await page(scene, search="dia", limit=100)
        rest = await page(scene, search="dia", limit=100, cursor=first.next_cursor)
        said = [int((each.content or "").split()[-1]) for each in (*first.data, *rest.data)]
        assert said == sorted(said, reverse=True)
        assert len(said) == 200

    async def test_words_between_are_walked_for(self, scene: Scene) -> None:
        """Of what thousands say the index has far more than a page."""
        await say(scene, ["Olá"])
        async with scene.database.tenant(scene.tenant_id) as tx:
            await tx.execute(_CROWD, scene.tenant_id, CROWD)
            for search, found, by_index in (("tarde", 5, False), ("rarissimo", 1, True)):
                request = ListMessages(search=search, limit=5)
                call = Call(Principal(tenant_id=scene.tenant_id), "request-1", None)
                with counting(tx) as asked:
                    assert len((await listing.list_messages(tx, request, call)).data) == found
                    await asyncio.sleep(0)  # the driver tells of it in the loop's next turn
                assert any("messages_found" in each for each in asked) is by_index, search

    async def _reads(self, scene: Scene, **query: Any) -> int:
        """How many messages a list finds; fails where it reads many more than it looks through."""
        async with scene.database.tenant(scene.tenant_id) as tx:
            before = await tx.fetchval(_READ)
            call = Call(Principal(tenant_id=scene.tenant_id), "request-1", None)
            with counting(tx) as asked:
                data = (await listing.list_messages(tx, ListMessages(**query), call)).data
                await asyncio.sleep(0)  # the driver tells of a statement in the loop's next turn
            walked = listing.LOOKS * (query.get("limit", 50) + 1) if "search" in query else 0
            assert await tx.fetchval(_READ) - before < walked + 50, query
            assert len(asked) <= 5
            return len(data)

"""Whatever comes, in whatever order, however often: what must hold of conversations holds."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from crm_messaging.conversations import repository as conversations
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.changes.consumers import on_message_edited, on_reaction_reported
from crm_messaging.messages.consumers import on_message_revoked, on_status_reported
from crm_messaging.sessions import service as sessions
from crm_testing.scenes.messaging import Scene
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service_kit.errors import ConflictError
from service_kit.service import Service
from shared_events.channels.traffic import (
    ChannelMessageEdited,
    ChannelMessageRevoked,
    ChannelReactionReported,
)
from shared_events.envelope import EventData

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PEOPLE: dict[str, dict[str, str | None]] = {
    "ana": {"phone": "5511988880001", "lid": None},
    "rui": {"phone": "5511988880002", "lid": "200000000000002"},
    "lia": {"phone": None, "lid": "200000000000003"},
}
MESSAGES = (1, 2, 3)  # 3 is the company's
RECEIPTS = ("sent", "delivered", "read")
HANDLERS: dict[str, Any] = {
    "said": on_message_received,
    "receipt": on_status_reported,
    "edit": on_message_edited,
    "revoke": on_message_revoked,
    "react": on_reaction_reported,
}


class Fact(NamedTuple):
    """Something that happened: told by channels, or done by an agent to all that is there."""

    kind: str
    person: str = ""
    message: int = 0
    nth: int = 0


def told() -> list[Fact]:
    """All that channels has to tell, each once, as it happened."""
    facts = []
    for person in PEOPLE:
        for message in MESSAGES:
            facts.append(Fact("said", person, message))
            facts += [Fact("edit", person, message, nth) for nth in (1, 2)]
            facts += [Fact("react", person, message, nth) for nth in (1, 2, 3)]
            if message == 3:
                facts += [Fact("receipt", person, message, nth) for nth in range(3)]
        facts.append(Fact("revoke", person, 2))
    return facts


TOLD = told()
DONE = [Fact(kind) for kind in ("close", "expire", "reopen", "read")]
courses = st.lists(st.lists(st.sampled_from([*TOLD, *DONE]), min_size=1, max_size=8), max_size=8)


def external_id(fact: Fact) -> str:
    return f"{fact.person}-{fact.message}"


class Course:
    """One company to which all of it happens."""

    def __init__(self, service: Service) -> None:
        self.scene = Scene(service.database)

    def event(self, fact: Fact) -> EventData:
        ours = fact.message == 3
        named = {"channel_id": self.scene.channel.id, "external_id": external_id(fact)}
        identities = [{"kind": k, "value": v} for k, v in PEOPLE[fact.person].items() if v]
        person = {"identities": identities}
        match fact.kind:
            case "said":
                said: dict[str, Any] = {
                    **PEOPLE[fact.person],
                    "external_id": external_id(fact),
                    "sent_at": AT + timedelta(seconds=fact.message),
                }
                if ours:
                    said |= {"direction": "outbound", "origin": "phone"}
                return self.scene.received(f"{fact.person} 0", **said)
            case "receipt":
                at = AT + timedelta(minutes=1 + fact.nth)
                return self.scene.receipt(external_id(fact), RECEIPTS[fact.nth], occurred_at=at)
            case "revoke":
                revoked = {**named, "revoked_at": AT + timedelta(hours=2)}
                return ChannelMessageRevoked.model_validate(revoked)
            case "edit":
                edit = {
                    **named,
                    "edit_id": f"{external_id(fact)}-{fact.nth}",
                    "from_us": ours,
                    "person": person,
                    "content": f"{fact.person} {fact.nth}",
                    "edited_at": AT + timedelta(hours=1, seconds=fact.nth),
                }
                return ChannelMessageEdited.model_validate(edit)
            case _:
                reaction = {
                    **named,
                    "from_us": False,
                    "person": person,
                    "emoji": ("👍", "", "❤️")[fact.nth - 1],
                    "reacted_at": AT + timedelta(hours=1, seconds=fact.nth),
                }
                return ChannelReactionReported.model_validate(reaction)

    async def take(self, facts: Sequence[Fact]) -> None:
        """Apply what came together: a handler's own in one transaction, as a consumer does."""
        for kind, same in groupby(facts, lambda fact: fact.kind):
            if (handler := HANDLERS.get(kind)) is not None:
                await self.scene.apply(handler, *(self.event(fact) for fact in same))
            else:
                await self.do(kind)

    async def do(self, kind: str) -> None:
        async with self.scene.database.tenant(self.scene.tenant_id) as tx:
            if kind == "read":
                for row in await tx.fetch("SELECT id, seq FROM conversations"):
                    await conversations.read(tx, row["id"], row["seq"] - 1)
                return
            rows = await tx.fetch("SELECT id FROM sessions ORDER BY id")
        for row in rows:
            async with self.scene.database.tenant(self.scene.tenant_id) as tx:
                if kind == "reopen":
                    try:
                        await sessions.reopen(tx, row["id"], expected_version=None)
                    except ConflictError:
                        continue
                else:
                    reason = "inactivity" if kind == "expire" else "done"
                    await sessions.end(tx, row["id"], reason)

    async def check(self) -> None:
        """What holds at every moment."""
        assert [row["rule"] for row in await self.scene.rows(BROKEN)] == []
        reached: dict[Any, int] = {}
        ended: dict[Any, bool] = {}
        for row in await self.scene.outbox():
            noun, _, happened = row["event_type"].partition(".")
            if noun == "message" and happened in RECEIPTS:
                message = row["payload"]["message"]["id"]
                rank = RECEIPTS.index(happened)
                assert reached.get(message, -1) < rank, "a status goes forward only"
                reached[message] = rank
            if noun == "session":
                session, terminal = row["aggregate_id"], happened in ("closed", "expired")
                assert not (terminal and ended.get(session)), "one terminal event"
                ended[session] = terminal

    async def converged(self) -> None:
        """Once all has been told, each message is what its newest changes made of it."""
        rows = await self.scene.rows("SELECT * FROM messages")
        assert len(rows) == len(PEOPLE) * len(MESSAGES)
        for row in rows:
            person, _, number = row["external_id"].partition("-")
            assert row["content"] == f"{person} 2"
            assert (row["revoked_at"] is not None) is (number == "2")
            if number == "3":
                assert row["status"] == "read"
        versions = "SELECT count(*) AS n FROM message_versions GROUP BY message_id"
        assert {row["n"] for row in await self.scene.rows(versions)} == {3}
        emojis = "SELECT emoji FROM message_reactions"
        assert [row["emoji"] for row in await self.scene.rows(emojis)] == ["❤️"] * len(rows)
        assert await self.scene.rows("SELECT 1 FROM parked_changes") == []
        assert await self.scene.rows("SELECT 1 FROM parked_receipts") == []


RULES = {
    "one message per external id": """
        SELECT external_id FROM messages GROUP BY channel_id, external_id HAVING count(*) > 1""",
    "seq has no gap in a conversation": """
        SELECT c.id FROM conversations c LEFT JOIN messages m ON m.conversation_id = c.id
        GROUP BY c.id HAVING c.seq <> count(m.id) OR c.seq <> coalesce(max(m.seq), 0)
            OR count(DISTINCT m.seq) <> count(m.id)""",
    "one active session": """
        SELECT contact_id FROM sessions WHERE status = 'active'
        GROUP BY channel_id, contact_id HAVING count(*) > 1""",
    "sessions count their messages": """
        SELECT s.id FROM sessions s LEFT JOIN messages m ON m.session_id = s.id
        GROUP BY s.id HAVING s.total_messages <> count(m.id)""",
    "conversations count what is unread": """
        SELECT c.id FROM conversations c WHERE c.unread_count <> (
            SELECT count(*) FROM messages m WHERE m.conversation_id = c.id
                AND m.direction = 'inbound' AND m.seq > c.read_seq)""",
    "no words stand in the thread of another": """
        SELECT conversation_id FROM messages GROUP BY conversation_id
        HAVING count(DISTINCT split_part(external_id, '-', 1)) > 1""",
    "a conversation shows its session": """
        SELECT c.id FROM conversations c JOIN sessions s ON s.id = c.session_id
        WHERE c.status <> s.status OR c.contact_id <> s.contact_id""",
    "an active session is shown": """
        SELECT s.id FROM sessions s JOIN conversations c ON c.contact_id = s.contact_id
        WHERE s.status = 'active' AND c.session_id <> s.id""",
}
"""Each finds who breaks its rule."""
BROKEN = " UNION ALL ".join(
    f"SELECT '{rule}' AS rule WHERE EXISTS ({query})" for rule, query in RULES.items()
)


class TestInterleavings:
    async def test_keep_what_must_hold_and_converge(self, service: Service) -> None:
        drawn: list[list[list[Fact]]] = []

        @settings(
            max_examples=12,
            database=None,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(courses)
        def draw(course: list[list[Fact]]) -> None:
            drawn.append(course)

        draw()
        for batches in drawn:
            course = Course(service)
            for batch in batches:
                await course.take(batch)
                await course.check()
            await course.take(sorted(TOLD))  # by handler
            await course.check()
            await course.converged()

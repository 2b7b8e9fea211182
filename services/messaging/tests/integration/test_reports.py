"""Reports: what is counted where, beside a company in which everything happened as well."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.service import send
from crm_messaging.reports import figures
from crm_messaging.reports.requests import get_conversation_report
from crm_messaging.sessions import service as sessions
from crm_testing.costs import plan_of
from crm_testing.scenes.messaging import PHONE, Scene
from crm_testing.schemas import MigratedDatabase
from service_kit.calls import Call
from service_kit.database import Database, Transaction
from service_kit.errors import InvalidError, ProblemError
from shared_events.channels.traffic import ChannelMessageReceived
from shared_events.messaging.message import SendMessage
from shared_events.messaging.report import ConversationReport, GetConversationReport
from shared_events.requests import Principal

NOON = datetime(2025, 3, 10, 12, tzinfo=UTC)
OTHER_PHONE = "5511977770002"


class Reported(Scene):
    """A company that is reported on."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.agent = uuid4()

    def said(self, direction: str, minute: int, phone: str = PHONE) -> ChannelMessageReceived:
        origin = "customer" if direction == "inbound" else "phone"
        at = NOON + timedelta(minutes=minute)
        return self.received(phone=phone, direction=direction, origin=origin, sent_at=at)

    async def report(self, **given: Any) -> ConversationReport:
        async with self.database.tenant(self.tenant_id) as tx:
            return await self.ask(tx, **given)

    async def ask(self, tx: Transaction, **given: Any) -> ConversationReport:
        whole = {"from": NOON - timedelta(days=2), "to": NOON + timedelta(days=2)}
        request = GetConversationReport.model_validate({**whole, **given})
        call = Call(Principal(tenant_id=self.tenant_id, user_id=self.agent), "request-1", None)
        return await get_conversation_report(tx, request, call)

    async def session(self) -> asyncpg.Record:
        (session,) = await self.sessions()
        return session

    async def answer(self, contact_id: UUID, channel_id: UUID) -> None:
        async with self.database.tenant(self.tenant_id) as tx:
            request = SendMessage(contact_id=contact_id, channel_id=channel_id, content="Oi")
            await send(tx, request, self.agent)


@pytest.fixture
async def pair(database: Database) -> tuple[Reported, Reported]:
    """Two companies alike, each with two customers: one answered and closed, one left alone."""
    pair = Reported(database), Reported(database)
    for company in pair:
        for said in (
            company.said("inbound", 0),
            company.said("inbound", 1),
            company.said("outbound", 3),
            company.said("inbound", 4, OTHER_PHONE),
        ):
            await company.apply(on_message_received, said)
        async with company.database.tenant(company.tenant_id) as tx:
            await tx.execute(
                "INSERT INTO agent_refs (tenant_id, agent_id, name, active)"
                " VALUES ($1, $2, 'Bia', true)",
                company.tenant_id,
                company.agent,
            )
            first = await tx.fetchval("SELECT id FROM sessions WHERE first_outbound_at IS NOT NULL")
            await sessions.assign(tx, first, company.agent, expected_version=None)
            await sessions.end(tx, first, "resolved")
            rest = await tx.fetchval("SELECT id FROM sessions WHERE status = 'active'")
            await sessions.end(tx, rest, "inactivity")
            await tx.execute(
                "UPDATE sessions SET started_at = $1::timestamptz, ended_at = $1::timestamptz"
                " + CASE status WHEN 'closed' THEN interval '10 min' ELSE interval '0' END",
                NOON,
            )
    return pair


class TestWaiting:
    async def test_is_known_of_each_session_however_messages_come(self, database: Database) -> None:
        for at_once in (False, True):
            company = Reported(database)
            story = [company.said(*one) for one in (("inbound", 0), ("inbound", 1))]
            story += [company.said("outbound", 3), company.said("outbound", 4)]
            story += [company.said("inbound", 5), company.said("inbound", 6)]
            batches = [story] if at_once else [[one] for one in story]
            for batch in batches:
                for _ in range(2):  # again: the bus repeats what it is not sure of
                    await company.apply(on_message_received, *batch)
            session = await company.session()
            assert session["first_inbound_at"] == NOON
            assert session["first_outbound_at"] == NOON + timedelta(minutes=3)
            assert session["waiting_since"] == NOON + timedelta(minutes=5)

    async def test_ends_with_an_agents_answer(self, database: Database) -> None:
        company = Reported(database)
        await company.apply(on_message_received, company.said("inbound", 0))
        session = await company.session()
        assert (session["waiting_since"], session["first_outbound_at"]) == (NOON, None)
        await company.answer(session["contact_id"], company.channel.id)
        session = await company.session()
        assert session["waiting_since"] is None
        assert session["first_outbound_at"] > NOON


class TestReport:
    async def test_counts_what_happened_to_one_company(
        self, pair: tuple[Reported, Reported]
    ) -> None:
        company, other = pair
        await other.apply(on_message_received, other.said("inbound", 9))
        by_channel = await company.report(by="channel")
        assert by_channel.total.model_dump() == {
            "messages_in": 3,
            "messages_out": 1,
            "sessions_started": 2,
            "sessions_closed": 1,
            "sessions_expired": 1,
            "first_responses": 1,
            "first_response_median_seconds": 180.0,
            "first_response_p90_seconds": 180.0,
            "resolution_median_seconds": 600.0,
            "resolution_p90_seconds": 600.0,
        }
        (row,) = by_channel.data
        assert (row.channel_id, row.name, row.messages_in) == (company.channel.id, "Loja", 3)
        assert (await company.report(channel_id=uuid4())).total.messages_in == 0
        assert (await company.report(channel_id=other.channel.id)).total.messages_in == 0
        assert (await company.report(channel_id=company.channel.id)).total == by_channel.total

    async def test_of_sessions_that_the_company_opened_has_no_first_response(
        self, database: Database
    ) -> None:
        company = Reported(database)
        for minute, direction in enumerate(("outbound", "inbound", "outbound")):
            await company.apply(on_message_received, company.said(direction, minute))
        total = (await company.report()).total
        assert (total.messages_out, total.first_responses) == (2, 0)

    async def test_tells_agents_apart_from_nobody(self, pair: tuple[Reported, Reported]) -> None:
        company, _ = pair
        (alone,) = await company.rows("SELECT * FROM sessions WHERE status = 'expired'")
        await company.answer(alone["contact_id"], company.channel.id)  # now, in another session
        await company.apply(on_message_received, company.said("inbound", 6, OTHER_PHONE))
        report = await company.report(by="agent")
        counted = {row.agent_id: (row.messages_in, row.messages_out) for row in report.data}
        assert counted == {company.agent: (2, 1), None: (2, 0)}
        (agent,) = [row for row in report.data if row.agent_id]
        assert (agent.name, agent.sessions_closed, agent.first_responses) == ("Bia", 1, 1)
        async with company.database.tenant(company.tenant_id) as tx:
            colleague = "UPDATE sessions SET assigned_agent_id = $1 WHERE status = 'active'"
            await tx.execute(colleague, uuid4())
        now = datetime.now(UTC)
        recent = {"from": now - timedelta(days=1), "to": now + timedelta(minutes=1)}
        (wrote,) = (await company.report(by="agent", agent_id=company.agent, **recent)).data
        assert (wrote.messages_in, wrote.messages_out) == (0, 1)  # in a colleague's session
        assert (await company.report(by="agent", agent_id=uuid4())).data == []

    async def test_days_begin_at_midnight_there_also_when_clocks_change(
        self, database: Database
    ) -> None:
        """On 9 March 2025 New York put its clocks forward: the day ends at 04:00, not 05:00."""
        company = Reported(database)
        midnight = datetime(2025, 3, 10, 4, tzinfo=UTC)
        for seconds in (-86_400, -1, 0):  # 22:59:59 and on of the 8th, the 9th, the 10th
            at = midnight + timedelta(seconds=seconds)
            await company.apply(on_message_received, company.received(sent_at=at))
        span = {"from": midnight - timedelta(days=3), "to": midnight + timedelta(days=1)}
        report = await company.report(timezone="America/New_York", **span)
        days = [(row.day, row.messages_in) for row in report.data]
        assert days == [
            ("2025-03-06", 0),
            ("2025-03-07", 0),
            ("2025-03-08", 1),
            ("2025-03-09", 1),
            ("2025-03-10", 1),
        ]
        utc = [(row.day, row.messages_in) for row in (await company.report(**span)).data]
        assert utc[2:] == [("2025-03-09", 1), ("2025-03-10", 2), ("2025-03-11", 0)]

    async def test_a_stretch_has_its_first_moment_and_not_its_last(
        self, pair: tuple[Reported, Reported]
    ) -> None:
        company, _ = pair
        minute = timedelta(minutes=1)
        for starts_at, ends_at, seen in (
            (NOON, NOON + minute, 1),
            (NOON - minute, NOON, 0),
            (NOON + minute, NOON + 3 * minute, 1),
        ):
            report = await company.report(**{"from": starts_at, "to": ends_at})
            assert report.total.messages_in == seen
            assert [row.day for row in report.data] == ["2025-03-10"]
        empty = await company.report(**{"from": NOON, "to": NOON})
        assert (empty.data, empty.total.messages_in) == ([], 0)

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            ({"from": NOON - timedelta(days=91)}, "too_long"),
            ({"to": NOON - timedelta(days=3)}, "after_its_end"),
            ({"timezone": "America/Atlantis"}, "unknown_time_zone"),
            ({"timezone": "../etc/passwd"}, "unknown_time_zone"),
            ({"from": None, "to": datetime.min.replace(tzinfo=UTC)}, "out_of_range"),
        ],
    )
    async def test_of_what_cannot_be_is_refused(
        self, database: Database, given: dict[str, Any], code: str
    ) -> None:
        with pytest.raises(InvalidError) as refused:
            await Reported(database).report(**given)
        assert [error.code for error in refused.value.problem.errors] == [code]

    async def test_that_takes_too_long_is_refused(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(figures, "MILLISECONDS", 1)
        async with database.tenant("somebody") as tx:
            await tx.execute("LOCK TABLE messages")  # so that it takes as long as this holds
            with pytest.raises(ProblemError) as refused:
                await Reported(database).report()
        assert refused.value.problem.code == "report_too_large"


_MANY = """
WITH of AS (
    INSERT INTO sessions (id, tenant_id, project_id, channel_id, contact_id, status, chat_id,
        opened_by, timeout_seconds, started_at, last_interaction_at, ended_at, first_inbound_at,
        first_outbound_at)
    SELECT gen_random_uuid(), $1, $1, $2, gen_random_uuid(), 'closed', NULL, 'customer', 60, at, at,
        at, at, at
    FROM (SELECT $3::timestamptz - make_interval(mins => n) AS at
        FROM generate_series(1, $4) AS n) AS t
    RETURNING *)
INSERT INTO messages (id, tenant_id, contact_id, session_id, channel_id, chat_id, seq, direction,
    origin, content_type, metadata, status, placed_at)
SELECT gen_random_uuid(), $1, contact_id, id, $2, 'x', 1, 'inbound', 'customer', 'text', '{}',
    'received', started_at
FROM of
"""


class TestPlan:
    async def test_reads_what_it_counts(
        self, own_database: MigratedDatabase, database: Database
    ) -> None:
        company, other = Reported(database), Reported(database)
        for each in (company, other):
            async with database.tenant(each.tenant_id) as tx:
                await tx.execute(_MANY, each.tenant_id, each.channel.id, NOON, 4000)
        admin = await asyncpg.connect(own_database.admin_url)
        for table in ("messages", "sessions"):
            await admin.execute(f"VACUUM ANALYZE {own_database.schema}.{table}")
        await admin.close()
        hour = {"from": NOON - timedelta(hours=1), "to": NOON}
        async with database.tenant(company.tenant_id) as tx:
            for by in ("day", "channel", "agent"):
                plan = await plan_of(tx, company.ask(tx, by=by, **hour))
                assert plan.indexes >= {
                    "idx_messages_placed",
                    "idx_sessions_tenant",
                    "idx_sessions_ended",
                    "idx_sessions_answered",
                }, (by, plan)
                assert not plan.whole & {"messages", "sessions"}, (by, plan)
                assert plan.rows < 6 * 60, (by, plan)

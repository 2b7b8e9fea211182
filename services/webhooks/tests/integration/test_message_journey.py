"""What was told of a message, and to whom of the customer's systems."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.costs import counting, never_analyse, plan_of, reads
from crm_testing.scenes.webhooks import TRACE, Tenant
from crm_testing.schemas import Databases
from crm_testing.services import eventually
from crm_webhooks.event_log import legs
from service_kit.database import Transaction
from shared_events.journeys import MOST_MESSAGES
from shared_events.requests import Principal
from shared_events.webhooks.journey import ListWebhookLegs

AT = "2026-11-29T12:00:00Z"
INGRESS_AT = "2026-11-29T11:59:59.250000Z"
# Of each of 1,000 messages: what WhatsApp brought, what became of it, and a delivery of that.
MANY = """
WITH said AS (SELECT gen_random_uuid() AS id, gen_random_uuid() AS cause, gen_random_uuid() AS
    event, now() - make_interval(secs => n) AS at, n FROM generate_series(1, 1000) AS n),
causes AS (
    INSERT INTO domain_event_log (event_id, event_type, aggregate_id, aggregate_type, tenant_id,
        payload, occurred_at, seq)
    SELECT cause, 'channel.message_received', cause, 'conversation', $1, '{}', at, n FROM said),
events AS (
    INSERT INTO domain_event_log (event_id, event_type, aggregate_id, aggregate_type, tenant_id,
        payload, occurred_at, seq, causation_id, message_id)
    SELECT event, 'message.received', cause, 'session', $1, '{}', at, 1000 + n, cause, id
    FROM said),
owed AS (
    INSERT INTO webhook_deliveries (id, tenant_id, event_id, event_type, endpoint_id, ordering_key)
    SELECT id, $1, event, 'message.received', $2, cause FROM said)
SELECT id FROM said
"""
ENDPOINT = """
INSERT INTO webhook_endpoints (id, tenant_id, url, event_types, headers, enabled)
VALUES ($1, $2, 'http://x', '{*}', '', true)
"""


async def legs_of(tenant: Tenant, *ids: UUID, granted: str = "*") -> dict[str, dict[str, Any]]:
    """What somebody of this company with this permission is told of messages, each by its id."""
    reply = await tenant.outside.client.call(
        ListWebhookLegs(message_ids=ids),
        principal=Principal(tenant_id=tenant.id, permissions=(granted,)),
        correlation_id="req",
    )
    assert reply.value is not None, reply.problem
    return {leg["message_id"]: leg for leg in reply.value["data"]}


def whats(leg: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((hop["service"], hop["what"]) for hop in leg["hops"])


def hop(leg: dict[str, Any], what: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [hop for hop in leg["hops"] if hop["what"] == what]
    (only,) = found
    return only


async def logged(tenant: Tenant, message_id: UUID, count: int) -> dict[str, Any]:
    """A message's leg, once it has so many hops."""

    async def there() -> Any:
        leg = (await legs_of(tenant, message_id)).get(str(message_id))
        return leg if leg and len(leg["hops"]) >= count else None

    found: dict[str, Any] = await eventually(there)
    return found


class TestLegs:
    async def test_go_from_the_ingress_to_the_endpoints(
        self, tenants: Any, receiver: WebhookReceiver
    ) -> None:
        mine, other = tenants(), tenants()
        receiver.answer(Answer(500, body="their secret"), Answer(200))
        url = f"{receiver.url}?token=secret"
        endpoint = await mine.endpoint(url, event_types=["message.received"])
        message_id, ingress = uuid4(), uuid4()
        said = {"message": {"id": str(message_id), "content": "secret"}}
        heard = await mine.happens(
            "channel.message_received", ingress, received_at=INGRESS_AT, content="secret"
        )
        await mine.happens("session.started", heard)  # follows from the same, and is no hop of it
        received = uuid4()
        for _ in range(2):  # a relay may tell it again
            await mine.happens("message.received", heard, event_id=received, **said)
        # Two of the message's events follow from one: it is one hop.
        await mine.happens("message.media_stored", heard, **said)
        await other.happens("message.received", heard, **said)
        await mine.settled(endpoint)

        leg = await logged(mine, message_id, 5)
        assert whats(leg) == [
            ("channels-waha", "channel.message_received"),
            ("gateway", "ingress"),
            ("messaging", "message.media_stored"),
            ("messaging", "message.received"),
            ("webhooks", "delivery"),
        ]
        assert leg["waiting_for"] is None
        came = hop(leg, "ingress")
        assert (came["at"], came["detail"]) == (INGRESS_AT, {"ingress_id": str(ingress)})
        told = hop(leg, "message.received")
        assert (told["at"], told["detail"]["event_id"]) == (AT, str(received))
        assert (told["detail"]["request_id"], told["detail"]["trace_id"]) == ("req-1", TRACE)
        assert told["detail"]["recorded_at"]
        delivery = hop(leg, "delivery")["detail"]
        assert (delivery["endpoint_id"], delivery["event_id"]) == (endpoint["id"], str(received))
        assert (delivery["status"], delivery["next_attempt_at"]) == ("delivered", None)
        tries = [(one["number"], one["status_code"], one["error"]) for one in delivery["attempts"]]
        assert tries == [(1, 500, "http_5xx"), (2, 200, None)]
        assert "secret" not in str(leg)

        # Deliveries are for who may read webhooks; another company's events for nobody.
        agents = (await legs_of(mine, message_id, granted="messages.read"))[str(message_id)]
        assert whats(agents) == whats(leg)[:-1]
        theirs = await logged(other, message_id, 1)
        assert whats(theirs) == [("messaging", "message.received")]
        assert await legs_of(mine, uuid4()) == {}

    async def test_of_what_is_sent_wait_for_an_endpoint_that_fails(
        self, tenants: Any, receiver: WebhookReceiver
    ) -> None:
        mine = tenants()
        receiver.answer(*[Answer(503, headers={"Retry-After": "600"})] * 9)
        await mine.endpoint(receiver.url, event_types=["message.*"])
        message_id, other_id = uuid4(), uuid4()
        queued = await mine.happens(
            "message.queued", uuid4(), message={"id": str(message_id)}, correlation_id="x" * 255
        )
        sent = await mine.happens("channel.message_sent", queued, message_id=str(message_id))
        await mine.happens("message.sent", sent, message={"id": str(message_id)})
        reported = await mine.happens("channel.message_status_reported", uuid4())
        await mine.happens("message.delivered", reported, message={"id": str(message_id)})
        await mine.happens("message.sent", uuid4(), message={"id": str(other_id)})

        async def waiting() -> Any:
            leg = await logged(mine, message_id, 8)
            return leg if leg["waiting_for"]["reason"] else None

        leg: dict[str, Any] = await eventually(waiting)
        assert whats(leg) == [
            ("channels-waha", "channel.message_sent"),
            ("channels-waha", "channel.message_status_reported"),
            ("messaging", "message.delivered"),
            ("messaging", "message.queued"),
            ("messaging", "message.sent"),
            *[("webhooks", "delivery")] * 3,
        ]
        assert hop(leg, "message.queued")["detail"]["request_id"] == "x" * 255
        wait = leg["waiting_for"]
        assert (wait["service"], wait["what"], wait["reason"]) == (
            "webhooks",
            "delivery",
            "http_5xx",
        )
        assert wait["next_at"] > wait["since"]
        both = await legs_of(mine, message_id, other_id)
        assert both.keys() == {str(message_id), str(other_id)}
        assert whats(both[str(other_id)]) == [
            ("messaging", "message.sent"),
            ("webhooks", "delivery"),
        ]

    async def test_cost_three_statements_by_indexes_however_many_they_are(
        self, databases: Databases
    ) -> None:
        own = await databases.create()
        await never_analyse(own)
        mine, other = str(uuid4()), str(uuid4())

        async def ask(tx: Transaction, ids: list[UUID], hops: int) -> None:
            found = await legs.of_messages(tx, ids, with_deliveries=True)
            assert sum(len(leg.hops) for leg in found.data) == hops

        async with own.connected(pool_size=1) as database:
            for _ in range(8):  # by then the driver's statements have plans that stay
                async with database.tenant(mine) as tx:
                    await ask(tx, [uuid4()], 0)
            for tenant_id in (other, mine):
                async with database.tenant(tenant_id) as tx:
                    endpoint_id = uuid4()
                    await tx.execute(ENDPOINT, endpoint_id, tenant_id)
                    rows = await tx.fetch(MANY, tenant_id, endpoint_id)
            ids = [row["id"] for row in rows][:MOST_MESSAGES]
            async with database.tenant(mine) as tx:
                with counting(tx) as statements:
                    for _ in range(10):
                        await ask(tx, ids, 4 * MOST_MESSAGES)
                    await asyncio.sleep(0)  # the driver tells of a statement in the next turn
                assert len(statements) == 3 * 10
                plan = await plan_of(tx, ask(tx, ids, 4 * MOST_MESSAGES))
            assert "idx_domain_event_log_message" in plan.indexes
            assert plan.whole == frozenset()
            assert plan.rows < 12 * MOST_MESSAGES
        read = await reads(own)
        assert read.by_index + read.by_scan < 20_000

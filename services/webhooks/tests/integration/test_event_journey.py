"""How an event came about and where it went: its own company's part of the story."""

from typing import Any
from uuid import UUID, uuid4

from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.scenes.webhooks import TRACE, Tenant
from crm_testing.services import eventually
from shared_events.requests import Principal
from shared_events.webhooks.event import GetEvent


async def shown(tenant: Tenant, event_id: UUID, *granted: str) -> dict[str, Any] | None:
    """The event's journey, once it is in the log."""
    reply = await tenant.outside.client.call(
        GetEvent(event_id=event_id),
        principal=Principal(tenant_id=tenant.id, permissions=granted or ("*",)),
        correlation_id="req",
    )
    return reply.value["journey"] if reply.value else None


class TestJourney:
    async def test_goes_back_to_the_beginning_and_on_to_the_endpoints(
        self, tenants: Any, receiver: WebhookReceiver
    ) -> None:
        mine, other = tenants(), tenants()
        receiver.answer(Answer(500), Answer(200))
        endpoint = await mine.endpoint(receiver.url, event_types=["message.received"])
        ingress = uuid4()
        heard = await mine.happens("channel.message_received", ingress)
        await mine.happens("session.started", heard)  # a sibling, not a cause
        received = await mine.happens("message.received", heard, correlation_id="x" * 255)
        stranger = await other.happens("message.received", heard)
        await mine.settled(endpoint)

        async def whole() -> Any:
            journey = await shown(mine, received)
            return journey if journey and len(journey["hops"]) == 2 else None

        journey = await eventually(whole)
        assert [(hop["event_id"], hop["type"], hop["service"]) for hop in journey["hops"]] == [
            (str(heard), "channel.message_received", "channels-waha"),
            (str(received), "message.received", "messaging"),
        ]
        assert {hop["occurred_at"] for hop in journey["hops"]} == {"2026-11-29T12:00:00Z"}
        assert (journey["began_with"], journey["request_id"]) == (str(ingress), "x" * 255)
        assert journey["trace_id"] == TRACE
        (delivery,) = journey["deliveries"]
        assert (delivery["endpoint_id"], delivery["status"]) == (endpoint["id"], "delivered")
        assert [one["status_code"] for one in delivery["attempt_log"]] == [500, 200]

        # Another company's cause is nobody's business, and deliveries are not everybody's.
        foreign = await eventually(lambda: shown(other, stranger))
        assert [hop["event_id"] for hop in foreign["hops"]] == [str(stranger)]
        assert (foreign["began_with"], foreign["deliveries"]) == (str(heard), [])
        seen = await shown(mine, received, "messages.read")
        assert seen and (seen["deliveries"], len(seen["hops"])) == (None, 2)
        assert await shown(mine, stranger) is None

    async def test_of_a_circle_has_an_end(self, tenants: Any) -> None:
        mine, first = tenants(), uuid4()
        second = await mine.happens("contact.created", first)
        await mine.happens("contact.updated", second, event_id=first)

        async def whole() -> Any:
            journey = await shown(mine, second)
            return journey if journey and len(journey["hops"]) > 1 else None

        hops = (await eventually(whole))["hops"]
        assert (len(hops), hops[-1]["event_id"]) == (20, str(second))

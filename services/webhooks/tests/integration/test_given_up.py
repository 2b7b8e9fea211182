"""That a delivery was given up is told to the company's other endpoints, and nothing of that."""

from typing import Any

from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import eventually
from shared_events.requests import Principal
from shared_events.webhooks.delivery import WebhookDeliveryExhausted
from shared_events.webhooks.event import ListEvents

TYPE = WebhookDeliveryExhausted.event_type
IN_VAIN = [Answer(500)] * 4


async def told_in_feed(tenant: Tenant) -> list[dict[str, Any]]:
    reply = await tenant.outside.client.call(
        ListEvents(types=["webhook.*"]),
        principal=Principal(tenant_id=tenant.id, permissions=["webhooks.read"]),
        correlation_id="req",
    )
    assert reply.value is not None, reply.problem
    found: list[dict[str, Any]] = reply.value["data"]
    return found


async def test_is_told_once_to_all_but_the_endpoint_it_is_about(
    tenants: Any, receiver: WebhookReceiver
) -> None:
    mine, other = tenants(), tenants()
    broken = await mine.endpoint(receiver.url_for("broken"))
    await mine.endpoint(receiver.url_for("alarm"), event_types=["webhook.*"])
    await other.endpoint(receiver.url_for("other"), event_types=["webhook.*"])
    receiver.answer(*IN_VAIN, path="/broken")
    (event_id,) = await mine.contact_created()
    got = await receiver.wait_for(lambda r: r.type == TYPE)
    assert got.path == "/alarm"
    given_up = await mine.settled(broken, "exhausted")
    said = got.json["data"]["delivery"]
    assert said == {**given_up, "attempt_log": None}
    assert (said["event_id"], said["attempts"], said["last_error"]) == (event_id, 4, "http_5xx")
    # What comes behind it shows that nobody else is owed it.
    await other.contact_created()
    (last,) = await mine.contact_created()
    await receiver.wait_for(lambda r: r.id == last and r.path == "/broken")
    assert [d["event_id"] for d in await mine.deliveries(broken)] == [last, event_id]
    assert receiver.by_type[TYPE] == 1

    async def logged() -> bool:
        return [e["id"] for e in await told_in_feed(mine)] == [got.id]

    await eventually(logged)
    assert await told_in_feed(other) == []


async def test_of_what_tells_of_it_nothing_is_told(
    tenant: Tenant, receiver: WebhookReceiver
) -> None:
    """Two endpoints that fail would tell each other for ever."""
    receiver.default = Answer(500)
    both = [await tenant.endpoint(receiver.url_for(path)) for path in ("a", "b")]
    (event_id,) = await tenant.contact_created()

    async def over() -> bool:
        rows = await tenant.rows("SELECT status FROM webhook_deliveries")
        return len(rows) == 4 and {row["status"] for row in rows} == {"exhausted"}

    await eventually(over)
    assert len(await tenant.outbox(TYPE)) == 2, "one for each endpoint that did not get the event"
    for endpoint in both:
        notice, event = await tenant.deliveries(endpoint)
        assert (notice["event_type"], event["event_id"]) == (TYPE, event_id)
        about = [row for row in await tenant.told(TYPE) if row["delivery"]["id"] != event["id"]]
        assert [row["delivery"]["event_id"] for row in about] == [event_id]

"""Webhooks forgets a person: what was told of them, what was answered, what is still owed."""

from typing import Any
from uuid import UUID, uuid4

from crm_fakes.receiver import WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import eventually
from crm_testing.traces import erasure_of, traces_of, until_erased
from shared_events import examples, topology
from shared_events.channels.traffic import ChannelMessageRevoked
from shared_events.contacts.contact import ContactCreated
from shared_events.contacts.erasure import ContactErased
from shared_events.identity import WhatsAppId
from shared_events.services import WEBHOOKS

HER = (WhatsAppId("phone", "5511988880001"),)
NUMBERS = ["5511988880001", "551188880001"]


def contact(contact_id: UUID, phone: str, mark: str) -> ContactCreated:
    example = examples.load("contact.created")["data"]["contact"]
    identities = [{"kind": "phone", "value": phone}]
    return ContactCreated.model_validate(
        {"contact": {**example, "id": contact_id, "name": mark, "identities": identities}}
    )


async def story(tenant: Tenant, receiver: WebhookReceiver) -> tuple[UUID, UUID]:
    """A person is told of, and so is somebody else; returns her id and an aggregate of hers."""
    her, somebody, aggregate = uuid4(), uuid4(), uuid4()
    await tenant.endpoint(receiver.url, event_types=["contact.*"])
    await tenant.endpoint(receiver.url_for("another"), event_types=["contact.*"])
    revoked = ChannelMessageRevoked.model_validate(examples.load("channel.message_revoked")["data"])
    nameless = tenant.envelope(revoked).model_copy(update={"aggregate_id": aggregate})
    for data in (
        contact(her, HER[0].value, "Zwoelfkaese"),
        contact(somebody, "5511977770002", "Ana"),
        ContactErased(contact_id=her, erasure_id=uuid4()),
    ):
        await tenant.publish(data)
    await tenant.outside.publish(nameless)
    await tenant.outside.publish_body(
        HER[0].value.encode(), event_type="contact.created", event_id="?", tenant_id=tenant.id
    )

    async def told() -> bool:
        (logged,) = await tenant.rows("SELECT count(*) AS n FROM domain_event_log")
        (tried,) = await tenant.rows("SELECT count(*) AS n FROM delivery_attempts")
        return bool(logged["n"] == 4 and tried["n"] >= 6)

    await eventually(told)
    return her, aggregate


class TestErasure:
    async def test_keeps_nothing_of_what_was_told(
        self, new_place: Any, receiver: WebhookReceiver
    ) -> None:
        place = await new_place()
        async with place.running(erasure_settle_seconds=0), place.asking() as make_tenant:
            tenant, other = make_tenant(), make_tenant()
            her, aggregate = await story(tenant, receiver)
            theirs, _ = await story(other, receiver)
            for queue in (topology.CONTACT_WEBHOOK, topology.DOMAIN_EVENTS_ALL):
                await tenant.outside.buried(queue.dead_letters, 2)
            envelope = erasure_of(WEBHOOKS, tenant.id, her, *HER, aggregates=[aggregate])
            for _ in range(2):
                await tenant.outside.publish(envelope)
            report = await until_erased(tenant.database, envelope)
            assert report["erased"]["domain_event_log"] == 2
            assert report["erased"]["webhook_events"] == 1
            assert report["erased"]["contact.events.webhook.dlq"] == 1
            assert report["erased"]["domain.events.all.dlq"] == 1

            async def logged() -> Any:
                query = "SELECT payload FROM domain_event_log WHERE event_type = 'erasure.started'"
                return await tenant.rows(query)

            await eventually(logged)
            assert await traces_of(place.database, tenant.id, NUMBERS) == set()
            left = await tenant.rows(
                "SELECT event_type, payload FROM domain_event_log"
                " WHERE event_type NOT LIKE 'erasure.%' ORDER BY event_type"
            )
            assert [row["event_type"] for row in left] == ["contact.created", "contact.erased"]
            assert left[0]["payload"]["contact"]["name"] == "Ana"
            owed = await tenant.rows(
                "SELECT d.id FROM webhook_deliveries d"
                " LEFT JOIN webhook_events e USING (event_id) WHERE e.event_id IS NULL"
            )
            assert owed == []
            tried = await tenant.rows("SELECT DISTINCT delivery_id FROM delivery_attempts")
            assert len(tried) == 4  # two endpoints were told of Ana, and of the erasure
            kept = await traces_of(place.database, other.id, [HER[0].value, str(theirs)])
            assert {"domain_event_log.payload", "webhook_events.body"} <= kept

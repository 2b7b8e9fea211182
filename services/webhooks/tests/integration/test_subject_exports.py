"""What was sent of a person is told for the person's archive."""

from typing import Any
from uuid import uuid4

from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import eventually
from crm_webhooks.event_log import subject_exports
from pytest import MonkeyPatch
from shared_events.webhooks.subject_export import ListSubjectDeliveries


async def logged(tenant: Tenant, event_ids: list[str]) -> dict[str, Any]:
    """What events are of, once the log has them all."""

    async def look() -> Any:
        rows = await tenant.rows(
            "SELECT event_id, aggregate_id FROM domain_event_log"
            " WHERE event_id = ANY($1::uuid[]) AND seq IS NOT NULL",
            event_ids,
        )
        return rows if len(rows) == len(event_ids) else None

    return {str(row["event_id"]): row["aggregate_id"] for row in await eventually(look)}


async def test_every_delivery_of_the_person_is_told_and_nobody_elses(
    tenant: Tenant, tenants: Any, receiver: WebhookReceiver, monkeypatch: MonkeyPatch
) -> None:
    monkeypatch.setattr(subject_exports, "_AT_ONCE", 1)
    receiver.answer(Answer(500))
    endpoint = await tenant.endpoint(f"{receiver.url}/secret-token")
    (hers,) = await tenant.contact_created()
    (others,) = await tenant.contact_created()
    await receiver.wait_for_count(3)
    await tenant.settled(endpoint)
    of = await logged(tenant, [hers, others])
    asked = ListSubjectDeliveries(aggregate_ids=[of[hers], uuid4()])
    page = await tenant.value(asked)
    assert page["next_cursor"] is not None
    (sent,) = page["data"]
    assert (sent["event_id"], sent["event_type"]) == (hers, "contact.created")
    assert sent["endpoint_host"] == "127.0.0.1"
    assert "secret-token" not in str(page)
    rest = await tenant.value(asked.model_copy(update={"cursor": page["next_cursor"]}))
    assert rest == {"data": [], "next_cursor": None}
    assert (await tenants().value(asked))["data"] == []

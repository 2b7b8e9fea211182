"""Who rings is known: told to customers' programs, and in the timeline of a contact."""

from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator

from e2e.crm import Json, Tenant, eventually, of_type

ANA = "5511988880001"


async def test_of_a_customer_are_told_and_stand_in_the_timeline(
    tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
) -> None:
    channel = await tenant.channel(waha)
    await tenant.endpoint(receiver, "call.*")
    await waha.call(channel.waha_session, ANA, call_id="C1", video=True)
    await receiver.wait_for(of_type("call.received"))
    await waha.call(channel.waha_session, ANA, "rejected", call_id="C1", by_us=True)
    rejected = (await receiver.wait_for(of_type("call.rejected"))).json["data"]["call"]
    assert (rejected["is_video"], rejected["status"]) == (True, "rejected")

    async def in_the_timeline() -> list[Json] | None:
        rows = await tenant.rows(f"/contacts/{rejected['contact_id']}/events", category="call")
        return rows if len(rows) == 2 else None

    newest, first = await eventually(in_the_timeline, "calls in the timeline")
    assert (first["type"], newest["type"]) == ("call.received", "call.rejected")
    assert await tenant.rows("/conversations") == []  # nothing was said

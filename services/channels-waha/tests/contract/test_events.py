"""What this service tells can be read by everybody, and it reads what others tell it."""

import orjson
from crm_fakes import examples
from crm_testing.scenes.channels import Shop
from crm_testing.services import read_back
from shared_events import topology
from shared_events.channels.channel import DeleteChannel, UpdateChannel

TOLD = {
    "channel.created",
    "channel.updated",
    "channel.deleted",
    "channel.status_changed",
    "channel.message_received",
    "channel.message_sent",
    "channel.message_failed",
    "channel.message_revoked",
    "channel.message_status_reported",
}


class TestContract:
    async def test_every_event_told_can_be_read_back(self, company: Shop) -> None:
        await company.connect()
        await company.value(UpdateChannel(channel_id=company.channel_id, name="Filial"))
        for example in examples.load():
            body = example.with_session("loja").body
            await company.hears(body["event"], orjson.dumps(body))
        await company.until_state(await company.write("oi"), "sent")
        await company.until_state(await company.write(None, content_type="poll"), "failed")
        await company.value(DeleteChannel(channel_id=company.channel_id))
        envelopes = [read_back(row) for row in await company.outbox()]
        assert {e.event_type for e in envelopes} == TOLD
        assert {e.tenant_id for e in envelopes} == {company.id}

    async def test_message_queued_has_its_effect(self, company: Shop) -> None:
        assert topology.CHANNELS_OUTBOUND.keys == ("message.queued",)
        await company.connect()
        message_id = await company.write("oi")
        assert (await company.until_state(message_id, "sent"))["content"] == "oi"

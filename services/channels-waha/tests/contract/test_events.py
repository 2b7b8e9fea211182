"""What this service tells can be read by everybody, and it reads what others tell it."""

import orjson
from crm_fakes import examples
from crm_testing.scenes.channels import Shop
from crm_testing.services import eventually, read_back
from shared_events import examples as told
from shared_events import topology
from shared_events.channels.channel import DeleteChannel, UpdateChannel
from shared_events.channels.history import CreateHistoryImport
from shared_events.messaging.conversation import ConversationRead

TOLD = {
    "channel.created",
    "channel.updated",
    "channel.deleted",
    "channel.status_changed",
    "channel.restricted",
    "channel.restriction_lifted",
    "channel.message_received",
    "channel.message_sent",
    "channel.message_failed",
    "channel.message_edited",
    "channel.message_revoked",
    "channel.reaction_reported",
    "channel.vote_reported",
    "channel.call_reported",
    "channel.change_failed",
    "channel.changes_read",
    "channel.media_stored",
    "channel.media_failed",
    "channel.history_read",
    "channel.group_reported",
    "channel.label_changed",
    "channel.chat_labelled",
    "history.progressed",
    "channel.message_status_reported",
}


class TestContract:
    async def test_every_event_told_can_be_read_back(self, company: Shop) -> None:
        await company.connect()
        await company.value(UpdateChannel(channel_id=company.channel_id, name="Filial"))
        for example in examples.load():
            body = example.with_session("loja").body
            await company.hears(body["event"], orjson.dumps(body))
        sent = await company.until_state(await company.write("oi"), "sent")
        await company.waha.ack("loja", sent["external_id"], "READ")
        await company.until_state(await company.write(None, content_type="poll"), "failed")
        message_id = await company.write("tchau")
        await company.until_state(message_id, "sent")
        edit = await company.change("edit", message_id, "oi", external_id="NOBODYS")
        await company.until_state(edit, "failed")
        await company.waha.receive_image("loja", "5511988880001")
        await company.until_told("channel.media_stored")
        await company.until_told("channel.media_failed")
        await company.value(CreateHistoryImport(channel_id=company.channel_id))
        await company.until_told("channel.history_read")
        await company.until_told("channel.changes_read")
        await company.waha.restrict("loja", until=4_000_000_000)
        await company.until_told("channel.restricted")
        await company.waha.restrict("loja", is_active=False)
        await company.until_told("channel.restriction_lifted")
        await company.value(DeleteChannel(channel_id=company.channel_id))
        envelopes = [read_back(row) for row in await company.outbox()]
        assert {e.event_type for e in envelopes} == TOLD
        assert {e.tenant_id for e in envelopes} == {company.id}

    async def test_what_is_queued_requested_and_read_has_its_effect(self, company: Shop) -> None:
        keys = (
            *("message.queued", "message.change_requested", "conversation.read"),
            "channel.call_reported",  # integration/test_presence.py
        )
        assert topology.CHANNELS_OUTBOUND.keys == keys
        await company.connect(send_seen=True)
        message_id = await company.write("oi")
        assert (await company.until_state(message_id, "sent"))["content"] == "oi"
        edit = await company.change("edit", message_id, "olá")
        assert (await company.until_state(edit, "sent"))["content"] == "olá"
        example = told.load("conversation.read")["data"]
        read = ConversationRead.model_validate({**example, "channel_id": company.channel_id})
        await company.publish(read)

        async def is_seen() -> bool:
            return ("sendSeen", "loja", read.chat_id) in company.waha.actions

        await eventually(is_seen)

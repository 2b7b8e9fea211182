"""Files: one comes with a message and can be downloaded, one is uploaded and sent."""

from typing import Any
from urllib.parse import urlsplit

import httpx
from crm_fakes.receiver import ReceivedRequest, WebhookReceiver
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.simulator import JPEG

from e2e.crm import Tenant, eventually, of_type

PHONE = "5511955550001"
PICTURE = JPEG + b"the shop window"


class TestMedia:
    async def test_a_picture_arrives_and_one_is_sent_back(
        self, tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
    ) -> None:
        waha.fetch_files = True
        await tenant.endpoint(receiver, "message.*")
        channel = await tenant.channel(waha)
        await waha.receive_image(channel.waha_session, PHONE, "Tem esta?", content=PICTURE)
        told = await receiver.wait_for(of_type("message.media_stored"))
        received = told.json["data"]["message"]
        [message] = await tenant.message_count(1)
        assert received["media_id"] == message["media_id"]
        assert message["metadata"]["media"]["state"] == "stored"
        assert message["media_mime_type"] == "image/jpeg"
        file = await tenant.get(f"/media/{message['media_id']}")
        assert (file["state"], file["size"]) == ("stored", len(PICTURE))
        async with httpx.AsyncClient() as anybody:
            for url in (received["media_url"], message["media_url"], file["url"]):
                answer = await anybody.get(url)
                assert (answer.status_code, answer.content) == (200, PICTURE)
            forged = urlsplit(file["url"])._replace(query="expires=9999999999").geturl()
            assert (await anybody.get(forged)).status_code == 403
        uploaded = await tenant.request(
            "POST", "/media", 201, files={"file": ("../promoção.jpg", PICTURE + b"!", "text/html")}
        )
        assert (uploaded["mime_type"], uploaded["filename"]) == ("image/jpeg", "promoção.jpg")
        queued = await tenant.post(
            "/messages/send",
            {
                "contact_id": message["contact_id"],
                "channel_id": channel.id,
                "content_type": "image",
                "media_id": uploaded["id"],
            },
        )

        async def sent() -> bool:
            status = (await tenant.get(f"/messages/{queued['id']}"))["status"]
            return status in ("sent", "delivered")

        await eventually(sent, "message that was sent")
        [sending] = waha.sent.values()
        assert sending.media
        assert sending.media.content == PICTURE + b"!"

    async def test_a_profile_picture_is_shown_with_contact_and_conversation(
        self, tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
    ) -> None:
        await tenant.endpoint(receiver, "contact.updated")
        channel = await tenant.channel(waha)
        waha.show_picture(PHONE, PICTURE)
        await waha.receive_text(channel.waha_session, PHONE, "Oi")

        def has_picture(request: ReceivedRequest) -> bool:
            return bool(request.json["data"]["contact"]["profile_picture_url"])

        told = await receiver.wait_for(has_picture)
        contact = await tenant.get(f"/contacts/{told.json['data']['contact']['id']}")

        async def conversation() -> Any:
            [shown] = (await tenant.get("/conversations"))["data"]
            return shown["contact"] if shown["contact"]["profile_picture_url"] else None

        conversing = await eventually(conversation, "conversation with a picture")
        async with httpx.AsyncClient() as anybody:
            for shown in (told.json["data"]["contact"], contact, conversing):
                answer = await anybody.get(shown["profile_picture_url"])
                assert (answer.status_code, answer.content) == (200, PICTURE)

"""Files in what customers are told: a link, made for each attempt."""

from uuid import uuid4

from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from service_kit.media_links import MediaLinks
from service_kit.service import Service
from shared_events.messaging.message import MessageMediaStored
from yarl import URL


class TestLinks:
    async def test_are_written_out_in_every_attempt_and_signed(
        self, service: Service, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url, event_types=["message.*"])
        receiver.trust(endpoint["secret"])
        receiver.answer(Answer(500))
        media_id = uuid4()
        said = {"media_url": f"media:{media_id}", "content": f"media:{media_id}"}
        await tenant.publish_anything(MessageMediaStored, {"message": said})
        await receiver.wait_for_count(2)
        links = MediaLinks(service.settings.signatures, "http://127.0.0.1:8080", 900)
        for got in receiver.requests:
            assert got.signature_valid
            message = got.json["data"]["message"]
            assert message["content"] == f"media:{media_id}"
            link = URL(message["media_url"])
            assert str(link.with_query(None)) == (
                f"http://127.0.0.1:8080/api/v1/media/{media_id}/file"
            )
            assert links.proves(media_id, link.query) == tenant.id

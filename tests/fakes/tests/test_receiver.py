import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from crm_fakes.receiver import Answer, WebhookReceiver
from crm_fakes.signatures import secret_bytes, standard_valid
from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = '{"type":"message.received","data":{"text":"olá ☕"}}'


def signed(event_id: str = "evt-1", secret: str = SECRET, age: float = 0.0) -> dict[str, str]:
    at = datetime.fromtimestamp(time.time() - age, UTC)
    return {
        "Content-Type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, at, BODY),
        "X-Webhook-Signature": hmac.new(
            secret_bytes(secret), BODY.encode(), hashlib.sha256
        ).hexdigest(),
    }


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver(secret=SECRET) as receiver:
        yield receiver


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


async def post(http: aiohttp.ClientSession, url: str, **headers: str) -> aiohttp.ClientResponse:
    async with http.post(
        url, data=BODY.encode(), headers=headers or signed(), allow_redirects=False
    ) as response:
        return response


class TestVerification:
    async def test_accepts_what_the_standard_library_signs(self, receiver: Any, http: Any) -> None:
        await post(http, receiver.url, **signed())
        request = receiver.requests[0]
        assert request.signature_valid is True
        assert request.legacy_valid is True
        assert (request.id, request.type, request.answered) == ("evt-1", "message.received", 200)
        assert request.json["data"]["text"] == "olá ☕"
        assert abs(request.arrived_at - time.time()) < 60

    @pytest.mark.parametrize(
        "spoiled",
        [
            {"webhook-id": "evt-2"},
            {"webhook-timestamp": "1"},
            {"webhook-timestamp": "soon"},
            {"webhook-signature": "v1,"},
            {"webhook-signature": "v2,AAAA"},
            {"webhook-signature": ""},
        ],
    )
    async def test_rejects(self, receiver: Any, http: Any, spoiled: dict[str, str]) -> None:
        await post(http, receiver.url, **signed() | spoiled)
        assert receiver.requests[0].signature_valid is False

    async def test_rejects_a_stale_stamp_and_another_secret(self, receiver: Any, http: Any) -> None:
        await post(http, receiver.url, **signed(age=301))
        await post(http, receiver.url, **signed(secret=OTHER))
        assert [r.signature_valid for r in receiver.requests] == [False, False]
        assert [r.legacy_valid for r in receiver.requests] == [True, False]

    async def test_one_good_signature_among_bad_ones_passes(self, receiver: Any, http: Any) -> None:
        headers = signed()
        headers["webhook-signature"] = "v1,AAAA v2,x " + headers["webhook-signature"]
        await post(http, receiver.url, **headers)
        assert receiver.requests[0].signature_valid is True

    async def test_each_path_may_have_its_secret(self, http: Any) -> None:
        async with WebhookReceiver() as receiver:
            receiver.trust(OTHER, "/b")
            await post(http, receiver.url_for("a"), **signed(secret=OTHER))
            await post(http, receiver.url_for("b"), **signed(secret=OTHER))
            assert [r.signature_valid for r in receiver.requests] == [None, True]

    @pytest.mark.parametrize(
        ("secret", "event_id", "stamp", "body", "signature"),
        [
            (
                SECRET,
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                "1614265330",
                '{"test": 2432232314}',
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
            (
                OTHER,
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                "1649367553",
                '{"text":"olá ☕"}',
                "v1,AAOKL16UGmGDFyRkubC+JEk4J0rSU+Gc0teVBhO3tU4=",
            ),
            (
                SECRET,
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                "1614265330",
                "",
                "v1,v48jdbgvh29KJz2Qc+ghw8G6vG3nAKnujWBg8oM/62A=",
            ),
        ],
    )
    def test_published_vectors(
        self, secret: str, event_id: str, stamp: str, body: str, signature: str
    ) -> None:
        headers = {
            "webhook-id": event_id,
            "webhook-timestamp": stamp,
            "webhook-signature": signature,
        }
        key = secret_bytes(secret)
        assert standard_valid(key, headers, body.encode(), float(stamp))
        assert not standard_valid(key, headers, body.encode(), float(stamp) + 301)

    @pytest.mark.parametrize("secret", ["whsec_", "", "whsec_%%%"])
    def test_bad_secret_is_refused(self, secret: str) -> None:
        with pytest.raises(ValueError, match="secret"):
            secret_bytes(secret)


class TestAnswers:
    async def test_follow_the_program_then_the_default(self, receiver: Any, http: Any) -> None:
        receiver.answer(
            Answer(503, headers={"Retry-After": "7"}),
            Answer.of({"status": 302, "location": "http://example.com/"}),
        )
        receiver.answer(Answer(410), path="/gone")
        first = await post(http, receiver.url)
        assert (first.status, first.headers["Retry-After"]) == (503, "7")
        assert (await post(http, receiver.url_for("gone"))).status == 410
        assert (await post(http, receiver.url)).headers["Location"] == "http://example.com/"
        assert (await post(http, receiver.url)).status == 200

    async def test_delay_and_hang(self, receiver: Any, http: Any) -> None:
        receiver.answer(Answer(delay=0.1), Answer(hang=True))
        began = time.monotonic()
        await post(http, receiver.url)
        assert time.monotonic() - began >= 0.1
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await post(http, receiver.url)
        assert receiver.requests[1].answered == 0

    async def test_stopping_ends_a_hanging_request(self, http: Any) -> None:
        receiver = WebhookReceiver()
        await receiver.start()
        receiver.answer(Answer(hang=True))
        hanging = asyncio.create_task(post(http, receiver.url, a="b"))
        await receiver.wait_for(lambda r: r.answered == 0)
        await receiver.stop()
        with pytest.raises(aiohttp.ClientError):
            await hanging


class TestWaiting:
    async def test_is_woken_by_arrival_and_sees_the_past(self, receiver: Any, http: Any) -> None:
        waiting = asyncio.create_task(receiver.wait_for(lambda r: r.id == "b"))
        await post(http, receiver.url, **signed("a"))
        assert not waiting.done()
        await post(http, receiver.url, **signed("b"))
        assert (await waiting).id == "b"
        assert (await receiver.wait_for(lambda r: r.id == "a")).seq == 1
        assert len(await receiver.wait_for_count(2)) == 2

    async def test_timeout_tells_what_came(self, receiver: Any, http: Any) -> None:
        await post(http, receiver.url, **signed())
        with pytest.raises(TimeoutError, match=r"0 of 1 .*message\.received"):
            await receiver.wait_for(lambda r: r.id == "never", timeout=0.05)

    async def test_counts_types_and_duplicates(self, receiver: Any, http: Any) -> None:
        for event_id in ("a", "a", "b"):
            await post(http, receiver.url, **signed(event_id))
        assert receiver.by_type == {"message.received": 3}
        assert receiver.duplicates() == {"a": 2}
        assert len(receiver.of_type("message.received")) == 3
        receiver.reset()
        assert len(receiver.requests) == 0
        assert not receiver.by_type

    async def test_keeps_only_the_latest_with_a_limit(self, http: Any) -> None:
        async with WebhookReceiver(limit=2) as receiver:
            for event_id in ("a", "b", "c"):
                await post(http, receiver.url, **signed(event_id))
            assert [r.id for r in receiver.requests] == ["b", "c"]

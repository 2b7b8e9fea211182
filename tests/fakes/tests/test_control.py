import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from crm_fakes.receiver import WebhookReceiver

PERSON = "5511988880001"


class TestSimulatorControl:
    async def test_needs_no_key_and_drives_a_conversation(self, shop: Any) -> None:
        control = f"{shop.waha.url}/_control"
        async with aiohttp.ClientSession() as http:

            async def post(path: str, body: Any = None, status: int = 201) -> Any:
                async with http.post(control + path, json=body) as response:
                    assert response.status == status, await response.text()
                    return await response.json()

            async def get(path: str) -> Any:
                async with http.get(control + path) as response:
                    return await response.json()

            config = shop.config()
            body = {"name": "loja", "engine": "NOWEB", "scan": True, "config": config}
            assert (await post("/sessions", body))["status"] == "WORKING"
            said = {"from_phone": PERSON, "text": "oi", "push_name": "Ana", "lid": "777"}
            assert (await post("/sessions/loja/receive", said))["chat"] == "777@lid"
            image = {"kind": "image", "from_phone": PERSON, "caption": "veja"}
            assert (await post("/sessions/loja/receive", image))["kind"] == "image"
            await post("/sessions/loja/phone", {"to": PERSON, "text": "respondi"})
            await shop.send_text("enviada", id="3EB0")
            await post("/sessions/loja/ack", {"bare_id": "3EB0", "level": "READ"})
            await post("/sessions/loja/examples/call_received_gows")
            await shop.webhooks("message.any", 4)
            await shop.webhooks("call.received")
            await shop.webhooks("message.ack", 3)  # READ by hand, SERVER and DEVICE
            await shop.waha.settled()
            (sent,) = await get("/sent?chat=5511988880001%40c.us")
            assert (sent["bare_id"], sent["text"], sent["times"]) == ("3EB0", "enviada", 1)
            assert len(await get("/deliveries?event=message.any&state=accepted")) == 4
            counters = await get("/counters")
            assert (counters["sent"], counters["sent_twice"]) == (1, 0)
            assert counters["events"]["message.any"] == 4
            failed = await post("/sessions/loja/status", {"status": "FAILED"}, 200)
            assert failed["status"] == "FAILED"
            assert (await post("/sessions/loja/scan", {}, 200))["status"] == "WORKING"
            await post("/reset", {}, 200)
            assert await get("/sent") == []

    async def test_switches_faults_and_settings(self, shop: Any) -> None:
        fault = {"kind": "refuse", "times": 2}
        status, active = await shop.call("POST", "/_control/faults", fault)
        assert (status, active[0]["kind"], active[0]["times"]) == (201, "refuse", 2)
        await shop.open()
        assert (await shop.send_text())[0] == 422
        _, faults = await shop.call("GET", "/_control/faults")
        assert faults["struck"] == {"refuse": 1}
        assert (await shop.call("DELETE", "/_control/faults"))[1] == []
        assert (await shop.call("POST", "/_control/faults", {"kind": "typo"}))[0] == 400
        settings = {"acks": "read", "echo": False}
        _, now = await shop.call("POST", "/_control/settings", settings)
        assert (now["acks"], now["echo"]) == ("read", False)
        assert (await shop.call("POST", "/_control/settings", {"akcs": 1}))[0] == 400

    async def test_says_what_is_wrong(self, shop: Any) -> None:
        await shop.open()
        for path, body in (
            ("/sessions/loja/receive", {"kind": "smell", "from_phone": PERSON}),
            ("/sessions/loja/receive", {"from_phone": PERSON}),
            ("/sessions/loja/receive", {"text": "from nobody"}),
            ("/sessions/loja/ack", {"bare_id": "unknown", "level": 3}),
            ("/sessions/loja/examples/unknown", None),
        ):
            assert (await shop.call("POST", f"/_control{path}", body))[0] == 400, path

    async def test_engine_can_be_set_before_the_session_exists(self, shop: Any) -> None:
        ahead = {"name": "loja", "engine": "WEBJS", "create": False}
        assert (await shop.call("POST", "/_control/sessions", ahead))[0] == 201
        _, session = await shop.call("POST", "/api/sessions", {"name": "loja"})
        assert session["engine"] == {"engine": "WEBJS"}


class TestReceiverControl:
    async def test_lists_requests_by_long_poll(self) -> None:
        async with WebhookReceiver() as receiver, aiohttp.ClientSession(receiver.url) as http:

            async def get(path: str) -> Any:
                async with http.get(path) as response:
                    return await response.json()

            polling = asyncio.create_task(get("/_control/requests?since=0&wait=5"))
            answers = {"answers": [{"status": 503, "retry_after": 1}]}
            async with http.post("/_control/answers", json=answers) as response:
                assert response.status == 201
            async with http.post("/hook", json={"type": "a.b"}) as response:
                assert response.status == 503
            (request,) = await polling
            assert (request["seq"], request["type"], request["path"]) == (1, "a.b", "/hook")
            assert request["signature_valid"] is None
            assert await get("/_control/requests?since=1") == []
            assert await get("/_control/requests?since=1&wait=0.05") == []
            assert (await get("/_control/counters"))["by_type"] == {"a.b": 1}
            async with http.post("/_control/secrets", json={"secret": "whsec_"}) as response:
                assert response.status == 400
            async with http.post("/_control/answers", json={"default": {"x": 1}}) as response:
                assert response.status == 400
            async with http.post("/_control/reset") as response:
                assert response.status == 200
            assert await get("/_control/requests") == []


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from crm_fakes.cli import main; main()",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            line = (await process.stdout.readline()).decode()
        yield line.split()[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            assert await process.wait() == 0


class TestCommandLine:
    async def test_both_fakes_run_as_processes_and_stop_cleanly(self) -> None:
        async with (
            running("waha", "--api-key", "k", "--engine", "NOWEB") as waha,
            running("receiver", "--secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") as receiver,
            aiohttp.ClientSession() as http,
        ):
            async with http.get(f"{waha}/ping", headers={"X-Api-Key": "k"}) as response:
                assert await response.json() == {"message": "pong"}
            hook = {"url": f"{receiver}/hook", "events": ["message.any"]}
            body = {"name": "loja", "scan": True, "config": {"webhooks": [hook]}}
            async with http.post(f"{waha}/_control/sessions", json=body) as response:
                assert (await response.json())["engine"] == {"engine": "NOWEB"}
            said = {"from_phone": PERSON, "text": "oi"}
            async with http.post(f"{waha}/_control/sessions/loja/receive", json=said) as response:
                assert response.status == 201
            async with http.get(f"{receiver}/_control/requests?wait=5") as response:
                (request,) = await response.json()
            assert request["signature_valid"] is False

import asyncio
import base64
from typing import Any

import aiohttp
import pytest


class TestServer:
    async def test_answers_ping_health_and_version(self, shop: Any) -> None:
        assert await shop.call("GET", "/ping") == (200, {"message": "pong"})
        assert (await shop.call("GET", "/health"))[1]["status"] == "ok"
        assert (await shop.call("GET", "/api/server/version"))[1]["version"] == "2026.7.1"

    @pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "wrong"}])
    async def test_refuses_a_missing_or_wrong_key(self, shop: Any, headers: Any) -> None:
        async with (
            aiohttp.ClientSession(shop.waha.url) as http,
            http.get("/api/sessions", headers=headers) as response,
        ):
            assert response.status == 401
            assert await response.json() == {"message": "Unauthorized", "statusCode": 401}

    async def test_takes_the_key_from_the_query(self, shop: Any) -> None:
        url = f"{shop.waha.url}/ping?x-api-key={shop.waha.api_key}"
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            assert response.status == 200

    async def test_unknown_path_is_404(self, shop: Any) -> None:
        status, body = await shop.call("POST", "/api/loja/sendText", {})
        assert (status, body["error"]) == (404, "Not Found")


class TestLifecycle:
    async def test_tells_each_status_from_start_to_working(self, shop: Any) -> None:
        status, body = await shop.call(
            "POST", "/api/sessions", {"name": "loja", "config": shop.config(), "unknown": 1}
        )
        assert (status, body["status"], body["me"]) == (201, "STARTING", None)
        await shop.webhooks("session.status", 2)
        shop.waha.scan("loja")
        events = await shop.webhooks("session.status", 3)
        by_status = {e["payload"]["status"]: e for e in events}
        assert list(by_status["WORKING"]["payload"]) == ["name", "status", "statuses", "data"]
        assert [s["status"] for s in by_status["WORKING"]["payload"]["statuses"]] == [
            "STARTING",
            "SCAN_QR_CODE",
            "WORKING",
        ]
        assert by_status["SCAN_QR_CODE"]["me"] is None
        assert by_status["WORKING"]["me"]["jid"] == "5511900000001:12@s.whatsapp.net"
        assert (await shop.call("GET", "/api/sessions/loja/me"))[1]["id"] == "5511900000001@c.us"

    async def test_keeps_the_login_over_stop_and_start(self, shop: Any) -> None:
        session = await shop.open()
        assert (await shop.call("POST", "/api/sessions/loja/stop"))[1]["status"] == "STOPPED"
        assert (await shop.call("GET", "/api/sessions"))[1] == []
        assert len((await shop.call("GET", "/api/sessions?all=true"))[1]) == 1
        await shop.call("POST", "/api/sessions/loja/start")
        assert await session.reach(60, "WORKING")

    async def test_logout_asks_for_a_new_scan(self, shop: Any) -> None:
        session = await shop.open()
        assert (await shop.call("POST", "/api/sessions/loja/logout"))[0] == 201
        assert await session.reach(60, "SCAN_QR_CODE")
        assert session.me is None

    async def test_put_replaces_the_whole_config_and_restarts(self, shop: Any) -> None:
        session = await shop.open()
        config = shop.config() | {"metadata": {"channel.id": "other"}}
        status, body = await shop.call("PUT", "/api/sessions/loja", {"config": config})
        assert (status, body["status"]) == (200, "STARTING")
        assert await session.reach(60, "WORKING")
        await shop.call("PUT", "/api/sessions/loja", {"config": {}})
        assert session.config == {}

    async def test_restart_comes_back_once(self, shop: Any) -> None:
        await shop.open()
        shop.receiver.reset()
        await shop.call("POST", "/api/sessions/loja/restart")
        events = await shop.webhooks("session.status", 3)
        assert sorted(e["payload"]["status"] for e in events) == ["STARTING", "STOPPED", "WORKING"]

    async def test_delete_is_idempotent(self, shop: Any) -> None:
        await shop.open()
        for _ in range(2):
            assert (await shop.call("DELETE", "/api/sessions/loja"))[0] == 200
        status, body = await shop.call("GET", "/api/sessions/loja")
        assert (status, body["message"]) == (404, "Session not found")

    async def test_refuses_a_name_taken_and_a_bad_config(self, shop: Any) -> None:
        await shop.open()
        status, body = await shop.call("POST", "/api/sessions", {"name": "loja"})
        assert (status, body["message"]) == (
            422,
            "Session 'loja' already exists. Use PUT to update it.",
        )
        for config in (shop.config(events=["message.typo"]), shop.config(url="example.com")):
            status, body = await shop.call("POST", "/api/sessions", {"name": "x", "config": config})
            assert status == 400
            assert isinstance(body["message"], list)

    async def test_qr_that_nobody_scans_fails_the_session(self, shop: Any) -> None:
        shop.waha.timing.qr_lifetimes = (0.01, 0.01)
        session = shop.waha.create_session("loja", shop.config())
        assert await session.reach(60, "FAILED")
        statuses = [e["payload"]["status"] for e in await shop.webhooks("session.status", 4)]
        assert statuses.count("SCAN_QR_CODE") == 2


class TestQr:
    async def test_comes_in_three_forms(self, shop: Any) -> None:
        session = shop.waha.create_session("loja")
        await session.reach(60, "SCAN_QR_CODE")
        async with shop.http.get("/api/loja/auth/qr?format=image") as response:
            png = await response.read()
            assert response.content_type == "image/png"
            assert png.startswith(b"\x89PNG")
        _, body = await shop.call(
            "GET", "/api/loja/auth/qr", headers={"Accept": "application/json"}
        )
        assert (body["mimetype"], base64.b64decode(body["data"])) == ("image/png", png)
        _, body = await shop.call("GET", "/api/loja/auth/qr?format=raw")
        assert body == {"value": session.qr}
        status, body = await shop.call(
            "POST", "/api/loja/auth/request-code", {"phoneNumber": "5511900000001"}
        )
        assert (status, body) == (201, {"code": "ABCD-ABCD"})

    async def test_needs_a_session_awaiting_it(self, shop: Any) -> None:
        await shop.open()
        status, body = await shop.call("GET", "/api/loja/auth/qr")
        assert status == 422
        assert (body["status"], body["expected"]) == ("WORKING", ["SCAN_QR_CODE"])

    async def test_auto_scan_pairs_by_itself(self, shop: Any) -> None:
        shop.waha.auto_scan = True
        session = shop.waha.create_session("loja")
        assert await session.reach(60, "WORKING")


class TestRestartOfTheServer:
    async def test_keeps_sessions_and_port(self, shop: Any) -> None:
        await shop.open()
        url = shop.waha.url
        await shop.waha.stop()
        with pytest.raises(aiohttp.ClientConnectionError):
            await shop.call("GET", "/ping")
        await shop.waha.start()
        assert shop.waha.url == url
        assert (await shop.send_text())[0] == 201
        async with asyncio.timeout(60):
            await shop.webhooks("message.any")

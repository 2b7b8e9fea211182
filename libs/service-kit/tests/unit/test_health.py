import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from service_kit.health import Check, Health, router


async def works() -> None:
    return None


async def fails() -> None:
    raise ConnectionError("amqp://crm:hunter2@mq.example:5672/ refused")


def client(health: Health) -> AsyncClient:
    app = FastAPI()
    app.include_router(router(health))
    return AsyncClient(transport=ASGITransport(app), base_url="http://service")


class TestStatus:
    @pytest.mark.parametrize(
        ("database", "temporal", "status", "code"),
        [
            (works, works, "healthy", 200),
            (works, fails, "degraded", 200),
            (fails, works, "unhealthy", 503),
            (fails, fails, "unhealthy", 503),
        ],
    )
    async def test_is_the_worst_severity(
        self, database: Check, temporal: Check, status: str, code: int
    ) -> None:
        health = Health("scratch")
        health.require("database", database)
        health.prefer("temporal", temporal)
        async with client(health) as http:
            overall, ready, live = [
                await http.get(path) for path in ("/health", "/health/ready", "/health/live")
            ]
        assert (overall.status_code, overall.json()["status"]) == (code, status)
        assert ready.status_code == code
        assert live.status_code == 200

    async def test_gives_away_no_address(self) -> None:
        health = Health("scratch")
        health.require("rabbitmq", fails)
        async with client(health) as http:
            body = (await http.get("/health")).text
        assert "hunter2" not in body
        assert "mq.example" not in body

    async def test_is_unready_and_alive_while_draining(self) -> None:
        health = Health("scratch", draining=True)
        async with client(health) as http:
            assert (await http.get("/health/ready")).status_code == 503
            assert (await http.get("/health/live")).status_code == 200
            assert (await http.get("/health")).status_code == 200

    async def test_asks_the_dependency_once_for_probes_that_come_together(self) -> None:
        calls = []

        async def counted() -> None:
            calls.append(1)

        health = Health("scratch")
        health.require("database", counted)
        for _ in range(5):
            await health.status()
        assert len(calls) == 1


class TestMetrics:
    async def test_has_the_names_and_labels_dashboards_ask_for(self) -> None:
        async with client(Health("scratch")) as http:
            text = (await http.get("/metrics")).text
        assert "message_processing_duration_seconds" in text
        assert "message_processing_total" in text

    @pytest.mark.parametrize(("database", "passes"), [(works, 1.0), (fails, 0.0)])
    async def test_say_what_the_checks_say(self, database: Check, passes: float) -> None:
        health = Health("scratch")
        health.require("database", database)
        health.prefer("temporal", fails)
        async with client(health) as http:
            text = (await http.get("/metrics")).text
        assert f"crm_ready {passes}\n" in text
        assert f'crm_health_check{{check="database"}} {passes}\n' in text
        assert 'crm_health_check{check="temporal"} 0.0\n' in text

    async def test_say_that_a_process_drains(self) -> None:
        async with client(Health("scratch", draining=True)) as http:
            assert "crm_ready 0.0\n" in (await http.get("/metrics")).text

"""The process as it runs: told to stop, it says so before it refuses connections."""

import asyncio
import signal

import httpx
from crm_dev.ports import free_ports
from crm_testing.processes import process_of
from crm_testing.services import eventually
from shared_events.services import CONTACTS

NOWHERE = {
    "CRM_ENV": "development",
    "DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/none",
    "RABBITMQ_URL": "amqp://nobody:x@127.0.0.1:1/",
}


class TestDrain:
    async def test_is_seen_while_it_serves_on(self) -> None:
        (port,) = free_ports(1)
        at = {**NOWHERE, "SERVER_PORT": str(port), "DRAIN_SECONDS": "3"}
        async with process_of(CONTACTS, **at) as process:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:

                async def draining() -> bool:
                    # A new connection each time, as a load balancer's probe.
                    async with httpx.AsyncClient(base_url=http.base_url) as probe:
                        answer = await probe.get("/health/ready")
                    return answer.status_code == 503 and answer.json()["draining"] is True

                async def alive() -> bool:
                    try:
                        return (await http.get("/health/live")).status_code == 200
                    except httpx.TransportError:
                        return False

                await eventually(alive)
                assert not await draining()
                process.send_signal(signal.SIGTERM)
                await eventually(draining)
                assert await alive()
            await asyncio.wait_for(process.wait(), 60)
        assert process.returncode in (0, -signal.SIGTERM)

"""The process as it runs: told to stop, it says so before it refuses connections."""

import asyncio
import os
import signal
import sys

import httpx
from crm_dev.ports import free_ports
from crm_testing.services import eventually

NOWHERE = {
    "CRM_ENV": "development",
    "DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/none",
    "RABBITMQ_URL": "amqp://nobody:x@127.0.0.1:1/",
}


class TestDrain:
    async def test_is_seen_while_it_serves_on(self) -> None:
        (port,) = free_ports(1)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from crm_contacts.app import main; main()",
            "run",
            env={**os.environ, **NOWHERE, "SERVER_PORT": str(port), "DRAIN_SECONDS": "3"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
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
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode in (0, -signal.SIGTERM)

"""The whole platform as its operator runs it: five processes and three servers by `crm-dev`."""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import SystemRandom
from typing import Any

import httpx
from crm_dev import control
from crm_dev.ports import PortBlock, is_taken
from crm_dev.stack import declare
from shared_events import services
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.service import RPCError

from e2e.crm import eventually

START_SECONDS = 240


class Platform:
    """A stack of its own, beside any other on this machine."""

    def __init__(self, directory: Path, port_base: int, **environment: str) -> None:
        self.directory = directory
        self._environment = {
            **{k: v for k, v in os.environ.items() if k not in _BORROWED},
            "CRM_DEV_DIR": str(directory),
            "CRM_PORT_BASE": str(port_base),
            **environment,
        }

    async def crm_dev(self, *arguments: str) -> str:
        """Run one `crm-dev` verb to its end; returns what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "crm_dev",
            *arguments,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(START_SECONDS):
            output, _ = await process.communicate()
        assert process.returncode == 0, f"crm-dev {arguments}: {output.decode()}"
        return output.decode()

    async def all_at_once(self, verb: str, *names: str) -> None:
        """`stop` or `start` pieces that do not wait for each other."""
        socket = self.directory / "control.sock"
        await asyncio.gather(
            *(asyncio.to_thread(control.ask, socket, verb, name) for name in names)
        )

    @property
    def state(self) -> dict[str, Any]:
        """`state.json`, as every tool may read it."""
        state: dict[str, Any] = json.loads((self.directory / "state.json").read_text())
        return state

    def piece(self, name: str) -> dict[str, Any]:
        """One piece's row of the state."""
        row: dict[str, Any] = next(p for p in self.state["pieces"] if p["name"] == name)
        return row

    def settings(self, name: str) -> dict[str, str]:
        """What a process of a piece is given, as the stack declares it."""
        pieces = declare(self.directory, self._environment).pieces
        return dict(next(piece.environment for piece in pieces if piece.name == name))

    @property
    def gateway_url(self) -> str:
        """Where the REST API is."""
        url: str = self.state["gateway_url"]
        return url

    def url(self, name: str) -> str:
        """Where a piece answers."""
        url: str = self.piece(name)["url"]
        return url

    def kill(self, name: str) -> None:
        """`kill -9` a process; the supervisor starts it again."""
        os.kill(self.piece(name)["pid"], signal.SIGKILL)

    def forget(self, name: str) -> None:
        """Take a stopped piece's disk away."""
        shutil.rmtree(self.directory / name)

    async def health(self, name: str) -> tuple[int, dict[str, Any]]:
        """Status code and body of `/health`; (0, {}) when the process does not answer."""
        async with httpx.AsyncClient(timeout=20) as http:
            try:
                answer = await http.get(f"{self.url(name)}/health")
            except httpx.TransportError:
                return 0, {}
            return answer.status_code, answer.json()

    async def workflow_status(self, workflow_id: str) -> str:
        """A workflow's state in Temporal, e.g. `RUNNING`; empty when there is none."""
        client = await Client.connect(self.state["temporal_address"])
        try:
            description = await client.get_workflow_handle(workflow_id).describe()
        except RPCError:
            return ""
        return description.status.name if description.status else ""

    async def workflow_events(self, workflow_id: str) -> list[str]:
        """The types of the events in a workflow's history, e.g. `TIMER_STARTED`."""
        client = await Client.connect(self.state["temporal_address"])
        history = client.get_workflow_handle(workflow_id).fetch_history_events()
        return [EventType.Name(event.event_type) async for event in history]

    async def healthy(self, *names: str, status: str = "healthy", seconds: float = 60) -> None:
        """Wait until these services report this status."""
        for name in names or SERVICES:

            async def reported(name: str = name) -> bool:
                return (await self.health(name))[1].get("status") == status

            await eventually(reported, f"{status} {name}", seconds=seconds, every=0.2)


SERVICES = tuple(service.name for service in services.SERVICES)

# A developer's own servers and wishes: not what these tests may stop and kill.
_BORROWED = {
    *("DATABASE_URL", "RABBITMQ_URL", "TEMPORAL_ADDRESS"),
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "CRM_REPLICAS", "CRM_OBSERVE"),
}


@asynccontextmanager
async def running_platform(directory: Path, **environment: str) -> AsyncIterator[Platform]:
    """A platform on ports of its own, from when all of it is healthy to its end."""
    stack = Platform(directory, free_port_block(), **environment)
    try:
        await stack.crm_dev("up")
        yield stack
    finally:
        await stack.crm_dev("down")


def free_port_block() -> int:
    """A base whose whole block is free and below the ports the kernel gives to clients."""
    size = PortBlock.size
    bases = range(20_000, 32_000, size)
    return next(
        base
        for base in SystemRandom().sample(bases, len(bases))  # nobody else begins at the same time
        if not any(map(is_taken, range(base, base + size)))
    )

"""`make bench`: a platform of its own, the figures, and down again."""

import asyncio
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import uvloop
from crm_dev import commands
from crm_dev.state import StackState

from bench import contacts, deliveries, figures, imports, messages, relay, waiting
from bench.platform import CUSTOMERS, Company, Crowd, Sink
from bench.stack import running, state_of

PORT_BASE = "19080"
BEHIND = ("contacts", "messaging", "channels-waha", "webhooks")


def tell(rows: list[figures.Figure]) -> None:
    """Print figures as they come."""
    for name, value in rows:
        print(f"  {name:<32}{value}", flush=True)


async def measure(state: StackState, directory: Path) -> None:
    """All figures that need services running; only the gateway still does afterwards."""
    sink = Sink()
    await sink.start()
    connector = aiohttp.TCPConnector(limit=512)
    async with aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=30)
    ) as http:
        company = Company(state.addresses.gateway_url, http)
        await company.found(sink)
        await figures.end_to_end(company, "one company", sink, state, tell)
        await figures.settle()
        crowd = Crowd(state.addresses.gateway_url, http)
        await crowd.found(sink)
        await figures.end_to_end(crowd, f"{CUSTOMERS} companies", sink, state, tell)
        await figures.settle()
        tell(await deliveries.each_to_its_own(crowd, sink, state))
        tell(await deliveries.one_to_all(company, sink, state))
        await figures.settle()
        tell(await figures.ingress(company, sink))
        await figures.settle()
        tell(await figures.rest(company))
        await figures.settle()
        tell(await imports.imported(crowd.companies[0], company, state))
        tell(list(figures.memory(state)))
        for name in BEHIND:
            await asyncio.to_thread(commands.ask, directory, "stop", name)
        tell(await figures.ingress_alone(company))
    await sink.stop()


def main() -> None:
    """Run and print."""
    with running("bench", PORT_BASE) as directory:
        state = state_of(directory)
        print(
            f"\n{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, "
            f"{os.cpu_count()} cores, everything on this machine\n"
        )
        uvloop.run(measure(state, directory))
        commands.ask(directory, "stop", "gateway")
        tell(uvloop.run(relay.throughput(state)))
        tell(uvloop.run(contacts.found(state.addresses.database_url)))
        tell(uvloop.run(messages.read(state.addresses.database_url)))
        tell(uvloop.run(waiting.waited(state.addresses.database_url)))


if __name__ == "__main__":
    main()

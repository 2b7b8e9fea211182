"""Figure 8: an import of ROWS contacts, and what others wait meanwhile.

Through the gateway, with everything running. Another company reads and writes at RATE requests a
second, first alone and then beside the import. Alone: `ROWS=100000 python -m bench.imports`.
"""

import asyncio
import os
import time
from contextlib import suppress
from itertools import count
from typing import Any
from uuid import uuid4

import aiohttp
import orjson
import uvloop
from crm_dev.state import StackState

from bench import figures
from bench.figures import Figure
from bench.load import Latencies, at_rate
from bench.platform import Company, Sink
from bench.stack import running, state_of

ROWS = int(os.environ.get("ROWS", "100000"))
RATE = 10
_ALONE_SECONDS = 20
_LONGEST_SECONDS = 1800
_ATTEMPTS = 10
_ENDED = ("completed", "failed", "cancelled")
_PORT_BASE = "19180"


async def imported(importing: Company, other: Company, state: StackState) -> list[Figure]:
    """Import ROWS people into one company while another works."""
    contact = await other.call("POST", "/contacts", {"name": "Bench", "phone": "+5511987650001"})
    names, refused = count(), list[str]()
    reads = (f"/contacts/{contact['id']}", "/contacts?limit=20", "/conversations?limit=20")

    async def ask(number: int) -> None:
        try:
            if number % 4 == 3:
                await other.call("POST", "/contacts", {"name": f"Contato {next(names)}"})
            else:
                await other.call("GET", reads[number % 4])
        except RuntimeError as error:  # on a machine that is too busy for both
            refused.append(str(error))

    await at_rate(ask, per_second=RATE, seconds=2)  # warm
    alone = await at_rate(ask, per_second=RATE, seconds=_ALONE_SECONDS)
    over = asyncio.Event()
    before = figures.cpu_seconds(state)
    beside = asyncio.create_task(at_rate(ask, per_second=RATE, seconds=_LONGEST_SECONDS, over=over))
    begun = time.perf_counter()
    job = await ended(importing, "imports", await _begun(importing))
    seconds = time.perf_counter() - begun
    over.set()
    spent = figures.spent(before, figures.cpu_seconds(state), ROWS)
    return [
        ("8 import", f"{ROWS} rows in {seconds:.0f} s: {ROWS / seconds:.0f}/s, {job['state']}"),
        ("8 import, processor time a row", spent),
        ("8 others, alone", _shown(alone)),
        ("8 others, beside the import", _shown(await beside)),
        ("8 others, refused", str(len(refused))),
    ]


def _shown(latencies: Latencies) -> str:
    return f"{latencies}   ({RATE}/s: three reads to a write)"


async def _begun(company: Company) -> dict[str, Any]:
    """The import, of a file that is sent again where a busy machine did not answer in time."""
    people = (f"Pessoa {n},+55119{n:08},pessoa{n}@exemplo.com,vip;lead\n" for n in range(ROWS))
    file = ("nome,telefone,email,tags\n" + "".join(people)).encode()
    headers = {**company.headers, "Idempotency-Key": str(uuid4())}
    for _ in range(_ATTEMPTS):
        form = aiohttp.FormData()
        form.add_field("file", file, filename="people.csv", content_type="text/csv")
        async with company.http.post(
            f"{company.api}/imports", data=form, headers=headers
        ) as answer:
            content = await answer.read()
        if answer.status < 300:
            begun: dict[str, Any] = orjson.loads(content)
            return begun
        if answer.status < 500:
            break
    raise RuntimeError(f"the import was refused: {answer.status} {content!r}")


async def ended(company: Company, jobs: str, job: dict[str, Any]) -> dict[str, Any]:
    """A job as it ended; `jobs` is where the API has those of its kind."""
    while job["state"] not in _ENDED:
        await asyncio.sleep(0.5)
        with suppress(RuntimeError):  # no answer in time
            job = await company.call("GET", f"/{jobs}/{job['id']}")
    return job


async def _alone(state: StackState) -> list[Figure]:
    sink = Sink()
    await sink.start()
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        importing = Company(state.addresses.gateway_url, http)
        other = Company(state.addresses.gateway_url, http)
        for company in (importing, other):
            await company.register(sink.url)
        found = await imported(importing, other, state)
    await sink.stop()
    return found


if __name__ == "__main__":
    with running("bench-imports", _PORT_BASE) as directory:
        for figure in uvloop.run(_alone(state_of(directory))):
            print(*figure)

"""A service as an operator runs it: a process, which may be killed."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared_events.services import ServiceName

_QUIETLY = {
    "CRM_ENV": "test",
    "SERVER_HOST": "127.0.0.1",
    "SERVER_PORT": "0",
    "LOG_LEVEL": "error",
}


@asynccontextmanager
async def process_of(
    service: ServiceName, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the service with these settings; at the end it is killed, if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        f"from {service.package}.app import main; main()",
        "run",
        env={**os.environ, **_QUIETLY, **environment},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()

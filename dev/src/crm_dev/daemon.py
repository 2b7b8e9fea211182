"""The supervisor as a process: one per stack, obeying its control socket and signals."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from crm_dev import control
from crm_dev.graph import only
from crm_dev.piece import PieceMissingError
from crm_dev.process import StartFailedError
from crm_dev.stack import Stack, declare
from crm_dev.supervisor import Supervisor


def main(directory: Path, names: Sequence[str]) -> int:
    """Run the declared stack (or only `names` and what they need) until told to stop."""
    try:
        stack = declare(directory, os.environ)
        pieces = only(stack.pieces, names) if names else list(stack.pieces)
        return asyncio.run(supervise(Stack(tuple(pieces), stack.addresses), directory))
    except (PieceMissingError, StartFailedError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


async def supervise(stack: Stack, directory: Path) -> int:
    """Run a stack until `down` or a signal; returns the exit code.

    Raises PieceMissingError or StartFailedError when nothing could be started at all.
    """
    supervisor = Supervisor(stack.pieces, stack.addresses, directory)
    asked_to_stop, ended = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)

    async def answer(verb: str, name: str) -> str:
        if verb == "down":
            asked_to_stop.set()
            await ended.wait()
            return "stopped"
        if verb == "stop":
            await supervisor.stop(name)
            return f"{name} is stopped"
        if verb == "start":
            await supervisor.start(name)
            return f"{name} is ready"
        raise control.RefusedError(f"unknown request {verb}")

    async with control.listening(directory / "control.sock", answer):
        boot = asyncio.create_task(supervisor.up())
        stopping = asyncio.create_task(asked_to_stop.wait())
        await asyncio.wait({boot, stopping}, return_when=asyncio.FIRST_COMPLETED)
        failed = boot.done() and not boot.result()
        if not failed:
            await stopping
        for task in (boot, stopping):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await supervisor.down()
        ended.set()
        # One turn of the loop, so that whoever asked for the end hears that it came.
        await asyncio.sleep(0.05)
    return 1 if failed else 0

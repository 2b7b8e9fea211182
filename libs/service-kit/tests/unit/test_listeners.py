"""Many who connect at once are all let in within a few turns of the loop."""

import asyncio
import socket
from contextlib import ExitStack

import uvloop
from service_kit.main import LISTENERS, listeners

CALLERS = 4 * LISTENERS


class Connections(asyncio.Protocol):
    made = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        type(self).made += 1
        transport.close()


async def turns_until_all_are_in(listening: socket.socket) -> int:
    Connections.made, turns = 0, 0
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Connections, sock=s) for s in listeners(listening)]
    with ExitStack() as callers:
        for _ in range(CALLERS):  # the kernel takes them, which the loop does not know yet
            callers.enter_context(socket.create_connection(listening.getsockname()))
        async with asyncio.timeout(30):
            while Connections.made < CALLERS:
                turns += 1
                await asyncio.sleep(0)
    for server in servers:
        server.close()
        await server.wait_closed()
    return turns


class TestListeners:
    def test_take_as_many_connections_a_turn(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            assert uvloop.run(turns_until_all_are_in(listening)) < CALLERS // 2

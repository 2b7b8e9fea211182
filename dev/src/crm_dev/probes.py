"""Does it answer? One question per protocol, asked on the wire.

A bare TCP connect proves little (it may be another program's port), so every probe waits for a
word of the protocol. A probe returns False for "not yet" and never raises.
"""

import asyncio

import asyncpg

PATIENCE = 2.0
AMQP_HEADER = b"AMQP\x00\x00\x09\x01"
AMQP_METHOD_FRAME = b"\x01"


async def _exchange(host: str, port: int, request: bytes, answer_size: int) -> bytes:
    """Send a request and return the first bytes of the answer; empty when nobody is there."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request)
                return await reader.readexactly(answer_size)
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError):
        return b""


async def answers_http(port: int, path: str, host: str = "127.0.0.1") -> bool:
    """Say whether GET `path` answers with 2xx."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    status_line = await _exchange(host, port, request, len(b"HTTP/1.1 200"))
    return status_line[9:10] == b"2"


async def answers_amqp(port: int, host: str = "127.0.0.1") -> bool:
    """Say whether a broker greets an AMQP 0-9-1 client."""
    return await _exchange(host, port, AMQP_HEADER, 1) == AMQP_METHOD_FRAME


async def answers_tcp(port: int, host: str = "127.0.0.1") -> bool:
    """Say whether anything accepts a connection; for servers that dislike being questioned."""
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
    except (OSError, TimeoutError):
        return False
    return True


async def answers_sql(url: str) -> bool:
    """Say whether PostgreSQL accepts this login and answers a query."""
    try:
        connection = await asyncpg.connect(url, timeout=PATIENCE)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    try:
        return await connection.fetchval("SELECT true", timeout=PATIENCE) is True
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    finally:
        connection.terminate()

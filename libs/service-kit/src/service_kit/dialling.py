"""HTTP clients that dial by the egress rule, judged at the moment of dialling.

The address that is judged is the address that is dialled: names are judged by every answer they
have (one bad answer refuses the name), and the socket factory judges again, because literal
addresses never pass a resolver.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType

from service_kit.egress import Egress

DNS_TIMEOUT_SECONDS = 3.0
_RESOLVER_THREADS = 16
_LONGEST_HEADER = 8190


def open_session(
    egress: Egress,
    *,
    per_host: int = 0,
    keep_seconds: float = 60.0,
    traces: Sequence[aiohttp.TraceConfig] = (),
) -> aiohttp.ClientSession:
    """An HTTP client that dials by this rule, keeps connections, and keeps nothing else.

    At most `per_host` connections to one host (0: as many as callers want), idle ones kept for
    `keep_seconds`. `traces` hear of each step of a request. Deadlines and redirects are the
    caller's to set.
    """

    def open_socket(address: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, endpoint = address
        egress.check(str(endpoint[0]))
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        return opened

    connector = aiohttp.TCPConnector(
        resolver=_Resolver(egress),
        socket_factory=open_socket,
        limit=0,
        limit_per_host=per_host,
        keepalive_timeout=keep_seconds,
        ttl_dns_cache=10,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        trust_env=False,
        trace_configs=list(traces),
        skip_auto_headers=("Accept-Encoding",),
        max_line_size=_LONGEST_HEADER,
        max_field_size=_LONGEST_HEADER,
    )


class _Resolver(AbstractResolver):
    """The system's resolver on threads of its own: a hanging name must not hold up the process."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, thread_name_prefix="dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(DNS_TIMEOUT_SECONDS):
            answers = await loop.run_in_executor(
                self._threads,
                lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM),
            )
        for *_, endpoint in answers:
            self._egress.check(str(endpoint[0]))
        return [
            ResolveResult(
                hostname=host,
                host=str(endpoint[0]),
                port=int(endpoint[1]),
                family=answer_family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for answer_family, _, protocol, _, endpoint in answers
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

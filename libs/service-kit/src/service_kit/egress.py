"""Where requests to a URL that a customer chose may go, judged at the moment of dialling.

Without this rule such a request could reach our own network. The address that is judged is the
address that is dialled: names are judged by every answer they have (one bad answer refuses the
name), and the socket factory judges again, because literal addresses never pass a resolver.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType
from pydantic import BeforeValidator
from pydantic_settings import NoDecode
from yarl import URL

Network = IPv4Network | IPv6Network

DNS_TIMEOUT_SECONDS = 3.0
_RESOLVER_THREADS = 16
_LONGEST_HEADER = 8190

# Beside what the address registries call not global: ranges that carry another address inside
# them, and those that reach something other than one host.
_NEVER_DIALLED = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_CLOUD_METADATA = frozenset({"metadata", "metadata.google.internal", "instance-data"})
_PRIVATE_SUFFIXES = (".local", ".internal", ".intranet", ".lan", ".home.arpa")


def _listed(value: Any) -> Any:
    """Lists come from the environment as `a,b,c`."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


AllowedNetworks = Annotated[tuple[Network, ...] | None, NoDecode, BeforeValidator(_listed)]
"""A setting: CIDRs, comma-separated, that may be dialled although they are not public."""


class ForbiddenAddressError(OSError):
    """The address is not one we dial. Its text names no address: customers read it."""

    def __init__(self) -> None:
        super().__init__("the address is not public")


class Egress:
    """The rule of one deployment: public addresses, and the networks an operator allows."""

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = tuple(allowed)
        self._reaches_inside = any(n.is_private and not n.is_loopback for n in self._allowed)

    @classmethod
    def by_setting(cls, networks: AllowedNetworks, *, is_production: bool) -> Self:
        """The rule of the networks named; where none are, loopback outside production."""
        if networks is None:
            networks = () if is_production else _LOOPBACK
        return cls(networks)

    def allows_address(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether this address may be dialled."""
        if any(address in network for network in self._allowed):
            return True
        return address.is_global and not any(address in network for network in _NEVER_DIALLED)

    def allows_host(self, host: str) -> bool:
        """Whether a URL's host is acceptable before it is resolved: literals and private names.

        Private names are acceptable where a private network is: their addresses are judged later.
        """
        name = host.strip("[]").rstrip(".").lower()
        literal = _literal(name)
        if literal is not None:
            return self.allows_address(literal)
        if name == "localhost" or name.endswith(".localhost"):
            return self.allows_address(IPv4Address("127.0.0.1"))
        if not name or not name.isascii() or name in _CLOUD_METADATA:
            return False
        return self._reaches_inside or not name.endswith(_PRIVATE_SUFFIXES)

    def allows_url(self, url: str, *, plain_http: bool) -> bool:
        """Whether a customer may give us this URL; the same at saving and at sending."""
        try:
            parsed = URL(url, encoded=True)
            host = parsed.raw_host
        except ValueError:
            return False
        return (
            parsed.scheme in (("http", "https") if plain_http else ("https",))
            and parsed.user is None
            and parsed.password is None
            and host is not None
            and self.allows_host(host)
        )

    def check(self, address: str) -> None:
        """Raises ForbiddenAddressError unless the address may be dialled."""
        if not self.allows_address(ip_address(address.partition("%")[0])):
            raise ForbiddenAddressError

    def session(self, *, per_host: int = 0, keep_seconds: float = 60.0) -> aiohttp.ClientSession:
        """An HTTP client that dials by this rule, keeps connections, and keeps nothing else.

        At most `per_host` connections to one host (0: as many as callers want), idle ones kept for
        `keep_seconds`. Deadlines and redirects are the caller's to set.
        """
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(self),
            socket_factory=self._open_socket,
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
            skip_auto_headers=("Accept-Encoding",),
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
        )

    def _open_socket(self, address: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, endpoint = address
        self.check(str(endpoint[0]))
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        return opened


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """The address a host spells out, also in the forms only resolvers read (`127.1`, `0x7f.1`)."""
    with suppress(ValueError):
        return ip_address(host)
    with suppress(OSError, ValueError):
        return IPv4Address(socket.inet_aton(host))
    return None


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

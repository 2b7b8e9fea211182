"""Where our requests may go: public addresses only, judged at the moment of dialling.

A customer chooses the URL, so without this a webhook could reach our own network. The address that
is judged is the address that is dialled: names are judged by every answer they have (one bad answer
refuses the name), and the socket factory judges again, because literal addresses never pass a
resolver.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType
from yarl import URL

Network = IPv4Network | IPv6Network

DNS_TIMEOUT_SECONDS = 3.0
_RESOLVER_THREADS = 16

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
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa")
_PRIVATE_NAMES = frozenset({"localhost", "metadata", "instance-data"})


class ForbiddenAddressError(OSError):
    """The address is not one we dial. Its text names no address: customers read it."""

    def __init__(self) -> None:
        super().__init__("the address is not public")


class Egress:
    """The rule of one deployment: public addresses, and the networks an operator allows."""

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = tuple(allowed)

    def allows_address(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether this address may be dialled."""
        if any(address in network for network in self._allowed):
            return True
        return address.is_global and not any(address in network for network in _NEVER_DIALLED)

    def allows_host(self, host: str) -> bool:
        """Whether a URL's host is acceptable before it is resolved: literals and private names."""
        name = host.strip("[]").rstrip(".").lower()
        try:
            return self.allows_address(ip_address(name))
        except ValueError:
            pass
        if name == "localhost":
            return self.allows_address(IPv4Address("127.0.0.1"))
        return name not in _PRIVATE_NAMES and not name.endswith(_PRIVATE_SUFFIXES)

    def check(self, address: str) -> None:
        """Raises ForbiddenAddressError unless the address may be dialled."""
        if not self.allows_address(ip_address(address.partition("%")[0])):
            raise ForbiddenAddressError

    def session(self) -> aiohttp.ClientSession:
        """An HTTP client that dials by this rule, keeps connections, and keeps nothing else."""
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(self),
            socket_factory=self._open_socket,
            limit=0,  # the sender counts
            keepalive_timeout=60,
            ttl_dns_cache=10,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),  # the sender's one deadline covers all
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("Accept-Encoding",),
            max_line_size=8190,
            max_field_size=8190,
        )

    def _open_socket(self, address: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, endpoint = address
        self.check(str(endpoint[0]))
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        return opened


def acceptable_url(url: str, egress: Egress, *, plain_http: bool) -> bool:
    """Whether an endpoint may have this URL; the same at saving and at sending."""
    parsed = URL(url, encoded=True)
    return (
        parsed.scheme in (("http", "https") if plain_http else ("https",))
        and parsed.user is None
        and parsed.password is None
        and parsed.raw_host is not None
        and egress.allows_host(parsed.raw_host)
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

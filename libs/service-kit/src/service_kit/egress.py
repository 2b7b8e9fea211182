"""Where requests to a URL that a customer chose may go.

Without this rule such a request could reach our own network. Nothing here does I/O: a name that
passes is judged again, by its addresses, when it is dialled (`service_kit.dialling`).
"""

import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Self

from pydantic import BeforeValidator
from pydantic_settings import NoDecode
from yarl import URL

from service_kit.settings import listed

Network = IPv4Network | IPv6Network

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
        "::ffff:0:0:0/96",
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
_MOST_URLS = 4096
_CLOUD_METADATA = frozenset({"metadata", "metadata.google.internal", "instance-data"})
_PRIVATE_SUFFIXES = (
    *(".local", ".localdomain", ".internal", ".intranet", ".lan", ".home.arpa", ".corp"),
    ".svc",  # of a cluster of Kubernetes
)
_LONGEST_LABEL = 63


AllowedNetworks = Annotated[tuple[Network, ...] | None, NoDecode, BeforeValidator(listed)]
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
        # The same few thousand are asked about over and over, and taking a URL apart is slow.
        self._judged = lru_cache(_MOST_URLS)(self._judge)

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
        labels = name.split(".")
        if not all(0 < len(label) <= _LONGEST_LABEL for label in labels):
            return False
        if not name.isascii() or name in _CLOUD_METADATA:
            return False
        # A name of one word is a neighbour's: `rabbitmq`, `postgres`.
        is_private = len(labels) == 1 or name.endswith(_PRIVATE_SUFFIXES)
        return self._reaches_inside or not is_private

    def allows_url(self, url: str, *, plain_http: bool) -> bool:
        """Whether a customer may give us this URL; the same at saving and at sending."""
        return self._judged(url, plain_http)

    def _judge(self, url: str, plain_http: bool) -> bool:
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


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """The address a host spells out, also in the forms only resolvers read (`127.1`, `0x7f.1`)."""
    with suppress(ValueError):
        return ip_address(host)
    with suppress(OSError, ValueError):
        return IPv4Address(socket.inet_aton(host))
    return None

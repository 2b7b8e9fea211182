"""Which port belongs to whom in development."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from random import SystemRandom
from typing import ClassVar

from shared_events.services import GATEWAY, SERVICES

SERVICE_OFFSETS = {service.name: service.port - GATEWAY.port for service in SERVICES}
MOST_REPLICAS = 9
_FOR_A_RUN = range(10_000, 20_000)
"""Below what the kernel gives to clients: a port is not taken by one of them before its server."""


@dataclass(frozen=True)
class PortBlock:
    """Every port of one stack, as offsets from its base, so that stacks can stand side by side.

    The first 20 are the servers' and each service's first process; the second processes have the
    next ten, and so on. The port before the servers' is the broker's metrics', so there are nine
    services at most.
    """

    size: ClassVar[int] = 20 + (MOST_REPLICAS - 1) * 10

    base: int = 8080

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "PortBlock":
        """Read CRM_PORT_BASE; raises ValueError when it is no usable port number."""
        base = int(environment.get("CRM_PORT_BASE") or cls.base)
        if not 1024 <= base <= 65000:
            raise ValueError(f"CRM_PORT_BASE must lie between 1024 and 65000, not {base}")
        return cls(base)

    def service(self, name: str, replica: int = 1) -> int:
        """Return the HTTP port of a service's process; replicas count from 1."""
        first = self.base if replica == 1 else self.base + 20 + (replica - 2) * 10
        return first + SERVICE_OFFSETS[name]

    @property
    def rabbitmq_metrics(self) -> int:
        """Return the port where RabbitMQ shows its queues to Prometheus, if there is one."""
        return self.base + 9

    @property
    def postgres(self) -> int:
        """Return the PostgreSQL port."""
        return self.base + 10

    @property
    def amqp(self) -> int:
        """Return the AMQP port."""
        return self.base + 11

    @property
    def erlang(self) -> int:
        """Return the distribution port; RabbitMQ's default is shared by every broker on 5672."""
        return self.base + 12

    @property
    def epmd(self) -> int:
        """Return the port of our own Erlang port mapper, apart from the machine's."""
        return self.base + 13

    @property
    def temporal(self) -> int:
        """Return Temporal's gRPC port."""
        return self.base + 14

    @property
    def temporal_http(self) -> int:
        """Return the port of Temporal's HTTP API, which the readiness probe asks."""
        return self.base + 15

    @property
    def temporal_ui(self) -> int:
        """Return the port of Temporal's web interface."""
        return self.base + 16

    @property
    def console(self) -> int:
        """Return the console's port."""
        return self.base + 17

    @property
    def waha(self) -> int:
        """Return the port of the WAHA simulator."""
        return self.base + 18

    @property
    def prometheus(self) -> int:
        """Return Prometheus' port."""
        return self.base + 19


def is_taken(port: int) -> bool:
    """Say whether someone listens on this port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def free_ports(count: int) -> list[int]:
    """Return distinct ports that were free a moment ago, for servers that live for one test run."""
    candidates = SystemRandom().sample(_FOR_A_RUN, len(_FOR_A_RUN))
    return list(islice((port for port in candidates if not is_taken(port)), count))

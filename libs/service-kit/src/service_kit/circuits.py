"""Bulkheads and breakers: a service that is slow or away costs its own callers alone."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from service_kit.errors import UnavailableError
from service_kit.shares import Shares

MOST_IN_FLIGHT = 256
"""Calls to one service that wait at the same time; of one company half, what two replicas take at
once. While answers are slow it is fewer, `LEAST_IN_FLIGHT` at least."""
LEAST_IN_FLIGHT = 32
SLOW_SECONDS = 1.0
"""Whoever waits for so long mostly waits behind others. Each such answer takes a twentieth of the
places, each quick one gives one back: some slow ones among many are what they are. In this time
they take a fifth at most: what comes late together waited for one pause, no lack of room."""
MOST_SILENCES = 5
"""Calls in a row without any answer, after which a service counts as away."""
OPEN_SECONDS = 1.0
"""How long a service that is away is left alone; then one call tries it."""


@dataclass(slots=True)
class _Circuit:
    in_flight: Shares = field(default_factory=Shares)
    most: float = MOST_IN_FLIGHT
    least: float = LEAST_IN_FLIGHT
    least_until: float = 0.0
    silences: int = 0
    closed_again_at: float = 0.0

    def took(self, asked_at: float) -> None:
        """Learn from one call that is over how much the service carries."""
        now = monotonic()
        if now - asked_at < SLOW_SECONDS:
            self.most = min(self.most + 1, MOST_IN_FLIGHT)
            return
        if now >= self.least_until:
            self.least = max(self.most * 0.8, LEAST_IN_FLIGHT)
            self.least_until = now + SLOW_SECONDS
        self.most = max(self.most * 0.95, self.least)


class Circuits:
    """One circuit for each service."""

    def __init__(self) -> None:
        self._circuits: dict[str, _Circuit] = defaultdict(_Circuit)

    @contextmanager
    def call(self, service: str, whose: str) -> Iterator[None]:
        """Around one call for somebody, which raises TimeoutError when nobody answered.

        An answer of any kind, even a problem, says that the service is there.
        Raises UnavailableError at once when too many calls wait for it already, most of them
        theirs, or when it has not been answering.
        """
        circuit = self._circuits[service]
        if not circuit.in_flight.has_room(whose, int(circuit.most)):
            raise UnavailableError("too_busy", "Too many requests are waiting; try again shortly.")
        if circuit.silences >= MOST_SILENCES:
            if monotonic() < circuit.closed_again_at:
                raise UnavailableError(
                    "service_unavailable", "The service behind this does not answer."
                )
            circuit.closed_again_at = monotonic() + OPEN_SECONDS  # for all but this call
        circuit.in_flight.take(whose)
        asked_at = monotonic()
        try:
            yield
        except TimeoutError:
            circuit.silences += 1
            circuit.closed_again_at = monotonic() + OPEN_SECONDS
            raise
        else:
            circuit.silences = 0
        finally:
            circuit.in_flight.give_back(whose)
            circuit.took(asked_at)

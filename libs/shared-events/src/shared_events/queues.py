"""The kinds of exchanges and queues that `shared_events.topology` declares."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from faststream.rabbit import ExchangeType, QueueType, RabbitExchange, RabbitQueue
from faststream.rabbit.schemas.queue import QuorumQueueArgs

from shared_events.services import ServiceName
from shared_events.slots import SLOT, of_slot, owners

DELIVERY_LIMIT = 20
"""Redeliveries before the broker itself dead-letters. Each restart of a consumer costs one."""

NEVER = 1_000_000_000
"""The delivery limit of dead letters. Looking at a letter returns it to its queue, and RabbitMQ 4.0
drops what returned 20 times unless a limit is given; -1, its word for none, is refused by 3.x."""

MESSAGE_TTL_MS = 86_400_000

PARTITIONS = 4
"""Of each queue that is split, unless a setting says otherwise."""


class TopicExchange(RabbitExchange):
    """A topic exchange; `sources` are the exchanges that feed it, each with the keys it takes."""

    def __init__(self, name: str, sources: Sequence[tuple["TopicExchange", str]] = ()) -> None:
        super().__init__(name, type=ExchangeType.TOPIC, declare=False, robust=False)
        self.sources = tuple(sources)

    @property
    def dead_letters(self) -> RabbitExchange:
        """Where its queues' dead letters go."""
        return RabbitExchange(
            f"{self.name}.dlx", type=ExchangeType.TOPIC, declare=False, robust=False
        )


@dataclass(frozen=True, slots=True)
class Binding:
    """What a queue or an exchange takes from another exchange."""

    source: str
    key: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


Part = tuple[RabbitQueue | RabbitExchange, Sequence[Binding]]
"""A queue or exchange, with what it takes."""


class EventQueue(RabbitQueue):
    """A queue of one consuming purpose of one service, bound to an exchange by `keys`.

    `single_active`: one consumer at a time, in order, with the other replicas standing by.
    `in_batches`: its consumer takes many messages in one transaction, which pays where much comes.
    `ordered_by`: it is split, and a message goes to a partition by its slot, which who publishes
    counts from this (`shared_events.slots`). The queue itself is then never declared.
    """

    def __init__(
        self,
        name: str,
        exchange: TopicExchange,
        keys: Sequence[str],
        *,
        service: ServiceName,
        single_active: bool = True,
        in_batches: bool = True,
        ordered_by: str | None = None,
    ) -> None:
        super().__init__(
            name,
            queue_type=QueueType.QUORUM,
            routing_key=keys[0],  # the subscriber binds one, `service_kit.declaring` all of them
            robust=False,
            arguments={
                "x-message-ttl": MESSAGE_TTL_MS,
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": exchange.dead_letters.name,
                "x-dead-letter-routing-key": name,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",  # what at-least-once dead-lettering requires
                **({"x-single-active-consumer": True} if single_active else {}),
            },
        )
        self.exchange = exchange
        self.keys = tuple(keys)
        self.service = service
        self.single_active = single_active
        self.in_batches = in_batches
        self.ordered_by = ordered_by

    @property
    def spread(self) -> RabbitExchange | None:
        """The exchange that spreads its messages over the partitions; None when it has none."""
        if self.ordered_by is None:
            return None
        return RabbitExchange(
            f"{self.name}.slots",
            type=ExchangeType.HEADERS,
            durable=True,
            robust=False,
            arguments={"alternate-exchange": self.slotless.name},
        )

    @property
    def slotless(self) -> RabbitExchange:
        """Brings what names no slot to the first partition."""
        return RabbitExchange(
            f"{self.name}.slotless", type=ExchangeType.FANOUT, durable=True, robust=False
        )

    def partitions(self, count: int) -> tuple[RabbitQueue, ...]:
        """The queues that hold its messages: `count` of them, or itself when it is not split."""
        if self.ordered_by is None:
            return (self,)
        owned = [held_by[-1] for held_by in owners(count)]
        return tuple(
            RabbitQueue(
                f"{self.name}.{index}",
                queue_type=QueueType.QUORUM,
                routing_key=SLOT,
                bind_arguments=of_slot(owned.index(index)),  # one; `service_kit.declaring` all
                robust=False,
                arguments=cast(QuorumQueueArgs, self.arguments),
            )
            for index in range(count)
        )

    def parts(self, count: int) -> Iterator[Part]:
        """What there is of it on the bus, from the end to the source."""
        sources = [Binding(self.exchange.name, key) for key in self.keys]
        sources.append(Binding(returns(self.service).name, self.name))
        if self.spread is None:
            yield self, sources
            return
        bindings: dict[int, list[Binding]] = {0: [Binding(self.slotless.name, SLOT)]}
        for slot, held_by in enumerate(owners(count)):
            bindings.setdefault(held_by[-1], []).append(self._takes(slot))
        yield self.slotless, []
        for index, partition in enumerate(self.partitions(count)):
            yield partition, bindings[index]
        yield self.spread, sources

    def outgrown(self, count: int) -> Iterator[Part]:
        """Which partitions had which slots when there were fewer."""
        former: dict[int, list[Binding]] = {}
        for slot, held_by in enumerate(owners(count)):
            for index in held_by[:-1]:
                former.setdefault(index, []).append(self._takes(slot))
        partitions = self.partitions(count)
        for index, bindings in former.items():
            yield partitions[index], bindings

    def _takes(self, slot: int) -> Binding:
        return Binding(f"{self.name}.slots", SLOT, of_slot(slot))

    @property
    def dead_letters(self) -> RabbitQueue:
        """Where its dead letters rest."""
        return RabbitQueue(
            f"{self.name}.dlq",
            queue_type=QueueType.QUORUM,
            robust=False,
            arguments={"x-delivery-limit": NEVER},
        )


def returns(service: ServiceName) -> RabbitExchange:
    """Brings a message back to a queue of the service; the key is the queue's name.

    Through the default exchange any queue could be reached, and any service could write to it.
    """
    return RabbitExchange(f"{service.noun}.returns", type=ExchangeType.DIRECT, robust=False)

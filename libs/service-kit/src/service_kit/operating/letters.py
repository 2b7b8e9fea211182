"""`dlq`: dead letters, looked at, sent back, dropped."""

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import Callable

from shared_events import topology
from shared_events.services import ServiceName

from service_kit import dead_letters
from service_kit.operating.command import Command, Operated, Report, report

_QUEUES = {queue.name: queue for queue in topology.QUEUES}


def commands(name: ServiceName) -> tuple[Command, ...]:
    """Those of a service that consumes."""
    queues = sorted(queue.name for queue in topology.queues_of(name))
    takes = _takes(queues)
    return (
        Command(("dlq", "list"), "one line for each dead letter", _look, takes),
        Command(("dlq", "show"), "each whole, with headers and body", _show, takes),
        Command(("dlq", "redrive"), "send them back to their queue; prints how many", _back, takes),
        Command(("dlq", "drop"), "remove them for good; prints each whole", _drop, takes),
    )


def _takes(queues: list[str]) -> Callable[[ArgumentParser], None]:
    def takes(parser: ArgumentParser) -> None:
        parser.add_argument("queue", choices=queues, help="the live queue's name")
        parser.add_argument("--id", help="the one letter with this message id")
        parser.add_argument("--reason", help="why they died")
        parser.add_argument("--tenant", help="whose they are")
        parser.add_argument("--type", help="the event's type")
        parser.add_argument("--older-than", type=float, metavar="SECONDS", help="dead for longer")
        parser.add_argument("--younger-than", type=float, metavar="SECONDS", help="dead for less")
        parser.add_argument("--limit", type=int, default=100, help="letters at most (100)")
        parser.add_argument(
            "--rate",
            type=float,
            metavar="PER_SECOND",
            help="how fast to redrive",
        )

    return takes


def _wanted(asked: Namespace) -> dead_letters.Wanted:
    return dead_letters.Wanted(
        message_id=asked.id,
        reason=asked.reason,
        tenant_id=asked.tenant,
        event_type=asked.type,
        older_than=asked.older_than,
        younger_than=asked.younger_than,
    )


def _found(operated: Operated, asked: Namespace) -> list[dead_letters.Letter]:
    queue, wanted = _QUEUES[asked.queue], _wanted(asked)
    return asyncio.run(dead_letters.look(operated.settings, queue, wanted, asked.limit))


def _look(operated: Operated, asked: Namespace) -> Report:
    return report(letter.summary() for letter in _found(operated, asked))


def _show(operated: Operated, asked: Namespace) -> Report:
    return report(letter.whole() for letter in _found(operated, asked))


def _back(operated: Operated, asked: Namespace) -> Report:
    queue, wanted = _QUEUES[asked.queue], _wanted(asked)
    sent = dead_letters.redrive(operated.settings, queue, wanted, asked.limit, rate=asked.rate)
    return report([asyncio.run(sent)])


def _drop(operated: Operated, asked: Namespace) -> Report:
    queue, wanted = _QUEUES[asked.queue], _wanted(asked)
    return report(asyncio.run(dead_letters.drop(operated.settings, queue, wanted, asked.limit)))

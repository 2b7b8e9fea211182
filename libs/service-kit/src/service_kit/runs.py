"""In which order the messages of a batch are applied: each company's in its own, and few at a time.

A handler that takes many companies together is called once for all that are at it; one that takes
each by itself is called for one after the other.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from service_kit.incoming import Handling, Incoming, Read


@dataclass(slots=True)
class Run:
    """Messages for one call of a handler; of one tenant, unless it takes many together."""

    handling: Handling
    messages: list[Incoming[Any]]

    @property
    def tenant_id(self) -> str:
        """Whose the first is."""
        return self.messages[0].tenant_id


def runs(reads: Iterable[Read]) -> Iterator[Run]:
    """The calls to make, for what anybody handles.

    Next is always the handler that most companies are at: they go on together as far as they can.
    """
    waiting: dict[str, deque[Run]] = defaultdict(deque)
    for read in reads:
        if read.handling is None:
            continue
        theirs = waiting[read.incoming.tenant_id]
        if not theirs or theirs[-1].handling != read.handling:
            theirs.append(Run(read.handling, []))
        theirs[-1].messages.append(read.incoming)
    ordered = [waiting[tenant_id] for tenant_id in sorted(waiting)]
    while ordered:
        ((handling, _),) = Counter(theirs[0].handling for theirs in ordered).most_common(1)
        next_ones = [t.popleft() for t in ordered if t[0].handling == handling]
        if handling.together:
            yield Run(handling, [message for run in next_ones for message in run.messages])
        else:
            yield from next_ones
        ordered = [theirs for theirs in ordered if theirs]

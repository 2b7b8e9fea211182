"""Who is given the next sessions. Nothing here does I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Load:
    """An agent, and how many active sessions it has."""

    agent_id: UUID
    sessions: int


def share(
    mode: str, waiting: int, agents: Sequence[Load], *, at_most: int, last: UUID | None
) -> list[UUID]:
    """Who is given each of so many sessions, the first one first; fewer where nobody has room.

    `round_robin` goes on behind `last` in the order of ids; `least_busy` gives to who has fewest,
    and among those goes on likewise.
    """
    held = {one.agent_id: one.sessions for one in agents}
    turns = sorted(held)
    given: list[UUID] = []
    while len(given) < waiting:
        behind = [one for one in turns if last is not None and one > last]
        order = [*behind, *turns[: len(turns) - len(behind)]]
        free = [one for one in order if held[one] < at_most]
        if not free:
            break
        last = free[0] if mode == "round_robin" else min(free, key=held.__getitem__)
        held[last] += 1
        given.append(last)
    return given

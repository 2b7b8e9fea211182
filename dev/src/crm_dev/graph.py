"""The order in which pieces start and stop."""

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from crm_dev.piece import Piece


def tiers(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Group pieces so that each needs only pieces of earlier groups.

    Raises ValueError when a name stands twice, a need is not declared, or needs form a circle.
    """
    by_name = {piece.name: piece for piece in pieces}
    if len(by_name) != len(pieces):
        raise ValueError("two pieces share a name")
    for piece in pieces:
        for need in piece.needs:
            if need not in by_name:
                raise ValueError(f"{piece.name} needs {need}, which is not declared")
    sorter = TopologicalSorter({piece.name: piece.needs for piece in pieces})
    try:
        sorter.prepare()
    except CycleError as error:
        raise ValueError(f"pieces need each other: {' -> '.join(error.args[1])}") from error
    grouped = []
    while sorter.is_active():
        ready = sorter.get_ready()
        grouped.append([by_name[name] for name in by_name if name in ready])
        sorter.done(*ready)
    return grouped


def only(pieces: Sequence[Piece], names: Sequence[str]) -> list[Piece]:
    """Keep the named pieces and everything they need; raises ValueError for an unknown name."""
    by_name = {piece.name: piece for piece in pieces}
    wanted: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in by_name:
            raise ValueError(f"there is no piece {name}; there are {', '.join(by_name)}")
        if name not in wanted:
            wanted.add(name)
            pending.extend(by_name[name].needs)
    return [piece for piece in pieces if piece.name in wanted]

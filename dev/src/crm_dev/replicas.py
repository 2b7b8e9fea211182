"""How many processes of each service the stack runs."""

from collections.abc import Mapping

from crm_dev.ports import MOST_REPLICAS, SERVICE_OFFSETS


def read(wish: str) -> dict[str, int]:
    """Return the number of processes by service, in the order of their ports.

    `wish` is one number for all (`2`), numbers for some (`messaging=3 contacts=2`) or empty; a
    service that is not named has one. Raises ValueError for anything else.
    """
    words = wish.split()
    everywhere = words.pop(0) if words and "=" not in words[0] else "1"
    wished = dict.fromkeys(SERVICE_OFFSETS, _count(everywhere))
    for word in words:
        name, _, count = word.partition("=")
        if name not in wished:
            raise ValueError(f"there is no service {name}; there are {', '.join(wished)}")
        wished[name] = _count(count)
    return wished


def names(service: str, counts: Mapping[str, int]) -> dict[str, int]:
    """Return the names of a service's processes, each with its number: messaging, messaging-2."""
    numbers = range(1, counts[service] + 1)
    return {service if number == 1 else f"{service}-{number}": number for number in numbers}


def _count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= MOST_REPLICAS):
        raise ValueError(f"a service has 1 to {MOST_REPLICAS} processes, not {text!r}")
    return int(text)

"""Places that many want, shared so that who wants them all leaves some to whoever else comes."""

from collections import Counter


class Shares:
    """Who holds how many places.

    Nobody holds more than there are free (the dynamic threshold of shared buffers): one alone has
    half of them at most, each of n that want all of them one part of n + 1, and one part is free.
    """

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._total = 0

    def has_room(self, whose: str, most: int) -> bool:
        """Whether one more of `most` places is theirs."""
        return self._held[whose] < most - self._total

    def take(self, whose: str) -> None:
        """One more is held, whether there was room or not."""
        self._held[whose] += 1
        self._total += 1

    def give_back(self, whose: str) -> None:
        """One that was taken is free."""
        self._total -= 1
        self._held[whose] -= 1
        if not self._held[whose]:
            del self._held[whose]

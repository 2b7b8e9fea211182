from collections import Counter
from uuid import UUID

import pytest
from shared_events.slots import SLOTS, owners, slot_of

COUNTS = range(1, SLOTS + 1)


class TestSlotOf:
    def test_is_what_every_publisher_counts(self) -> None:
        """Another number would send what waits and what comes to two partitions."""
        aggregate = UUID("01890000-0000-7000-8000-000000000001")
        assert slot_of(aggregate) == slot_of(str(aggregate)) == 18
        assert slot_of("") == 0

    def test_uses_all_evenly(self) -> None:
        counts = Counter(slot_of(UUID(int=n)) for n in range(SLOTS * 100))
        assert len(counts) == SLOTS
        assert min(counts.values()) > 50
        assert max(counts.values()) < 200


class TestOwners:
    @pytest.mark.parametrize("partitions", COUNTS)
    def test_share_evenly(self, partitions: int) -> None:
        shares = Counter(held_by[-1] for held_by in owners(partitions))
        assert sorted(shares) == list(range(partitions))
        assert max(shares.values()) - min(shares.values()) <= 1

    @pytest.mark.parametrize("partitions", COUNTS[1:])
    def test_change_only_to_one_that_is_new(self, partitions: int) -> None:
        for then, now in zip(owners(partitions - 1), owners(partitions), strict=True):
            assert now in (then, (*then, partitions - 1))

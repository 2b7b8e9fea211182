"""Who is served next: one lane per endpoint, so that no endpoint can hold up another.

Pure bookkeeping in memory, without a clock or a task of its own. The rules:

- deliveries of one (endpoint, ordering key) are never in flight together and start in order;
- a lane has at most `per_lane` in flight, or fewer where its endpoint wants so, two until its first
  success, one while it only fails;
- who goes on failing is left alone, twice as long each time, however quickly it fails;
- lanes take turns; who is not quick, or not known, holds little, so that none fills the memory;
- slow lanes share a quarter of the slots, and an attempt that turns out slow stops counting against
  the others, so endpoints that hang together cannot take all of them.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

SLOW_SHARE = 0.25
_REMEMBERED = 10
_UNPROVEN_LIMIT = 2
_PROBE_AFTER_FAILURES, _PAUSE_AFTER_FAILURES = 5, 10
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 15.0
"""The longest is how late we notice that an endpoint is back."""
_QUICK_SECONDS = 0.5
_ROUNDS = 2
_SHARE_OF_QUICK, _SHARE_OF_NEW = 2, 50


@dataclass(frozen=True, slots=True)
class Owed:
    """A delivery in hand. `lease_ends` is on the event loop's clock, in seconds.

    So is `token_ends`, until when it may be sent to an endpoint that has a rate limit; None for one
    that was taken in hand without a token. `owned` says that nobody else sends to that endpoint.
    What should have been sent at once is `prompt`: not what is told again, nor what a limit of the
    customer's, a pause or a closed endpoint has held.
    """

    id: UUID
    tenant_id: str
    endpoint_id: UUID
    endpoint_version: int
    ordering_key: UUID
    event_id: UUID
    event_type: str
    occurred_at: datetime
    body: bytes
    attempts: int
    trace: Mapping[str, str]
    lease_ends: float
    token_ends: float | None = None
    owned: bool = False
    prompt: bool = True


@dataclass(slots=True)
class Lane:
    """One endpoint's deliveries in hand and what is remembered of its recent attempts.

    `more` says that PostgreSQL holds further ones that did not fit. `returning` are those that were
    given back and are still leased in PostgreSQL: what comes now would overtake them there. When
    that was last is `gave_back` (see Lanes). `changes` counts how often the
    endpoint was edited, enabled or disabled, as far as this process has heard. `limited` says that
    it had a rate limit when something of it was last claimed, and `max_concurrency` how many
    attempts at a time it wants at the most, if it said so.
    """

    endpoint_id: UUID
    more: bool = False
    size: int = 0
    in_flight: int = 0
    proven: bool = False
    failures_in_a_row: int = 0
    paused_until: float = 0.0
    returning: int = 0
    gave_back: int = 0
    changes: int = 0
    limited: bool = False
    max_concurrency: int | None = None
    _seconds: float = 0.0
    _recent_slow: deque[bool] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _waiting: dict[UUID, deque[Owed]] = field(default_factory=dict)
    _free_keys: deque[UUID] = field(default_factory=deque)

    @property
    def slow(self) -> bool:
        """Whether more than one in ten of its recent attempts was slow."""
        return any(self._recent_slow)

    @property
    def probing(self) -> bool:
        """Whether it has failed so often that one attempt at a time is enough to find out."""
        return self.failures_in_a_row >= _PROBE_AFTER_FAILURES

    @property
    def pause(self) -> float | None:
        """Seconds for which it is left alone, as it has failed on and on; None for not at all."""
        further = self.failures_in_a_row - _PAUSE_AFTER_FAILURES
        if further < 0:
            return None
        return min(_FIRST_PAUSE_SECONDS * 2.0 ** min(further, 10), _LONGEST_PAUSE_SECONDS)

    def limit(self, per_lane: int) -> int:
        """How many attempts may be in flight."""
        if self.probing:
            return 1
        most = min(per_lane, self.max_concurrency or per_lane)
        return most if self.proven else min(most, _UNPROVEN_LIMIT)

    def most_in_hand(self, per_lane: int, backlog: int) -> int:
        """How many it may hold of a backlog: plenty when it is quick, what can start when not.

        One that is neither quick nor slow holds what starts within a second. A token does not wait
        for a free place, so of a limited one there is no more than there are places.
        """
        limit = self.limit(per_lane)
        if self.slow or self.probing or self.limited:
            return limit
        if not self._recent_slow:
            return max(_ROUNDS * limit, backlog // _SHARE_OF_NEW)
        if self._seconds < _QUICK_SECONDS:
            return backlog // _SHARE_OF_QUICK
        return max(_ROUNDS * limit, int(limit / self._seconds))

    def add(self, owed: Owed) -> None:
        """Queue behind whatever has the same ordering key."""
        self.size += 1
        if owed.ordering_key in self._waiting:
            self._waiting[owed.ordering_key].append(owed)
        else:
            self._waiting[owed.ordering_key] = deque([owed])
            self._free_keys.append(owed.ordering_key)

    def can_start(self, per_lane: int) -> bool:
        """Whether there is something to start and room to start it."""
        return bool(self._free_keys) and self.in_flight < self.limit(per_lane)

    def start(self) -> Owed:
        """Take the next delivery; its ordering key is busy until `finish`."""
        owed = self._waiting[self._free_keys.popleft()].popleft()
        self.in_flight += 1
        return owed

    def finish(self, owed: Owed) -> None:
        """The delivery left; the next of its ordering key may start."""
        self.size -= 1
        self.in_flight -= 1
        key = owed.ordering_key
        if self._waiting[key]:
            self._free_keys.append(key)
        else:
            del self._waiting[key]

    def remember(self, seconds: float, *, slow: bool, delivered: bool) -> None:
        """Learn from a finished attempt, and how long it took."""
        self._seconds += (seconds - self._seconds) / _REMEMBERED if self._recent_slow else seconds
        self._recent_slow.append(slow)
        self.failures_in_a_row = 0 if delivered else self.failures_in_a_row + 1
        self.proven = delivered

    def empty(self) -> list[Owed]:
        """Take out everything that has not started."""
        taken = [owed for queue in self._waiting.values() for owed in queue]
        busy = self._waiting.keys() - set(self._free_keys)
        self._waiting = {key: deque() for key in busy}
        self._free_keys.clear()
        self.size -= len(taken)
        return taken


class Lanes:
    """All lanes of a process, and the slots they share."""

    def __init__(self, *, slots: int, per_lane: int, backlog: int) -> None:
        self._slow_slots = max(1, int(slots * SLOW_SHARE))
        self._fast_slots = slots - self._slow_slots
        self._per_lane = per_lane
        self._backlog = backlog
        self._lanes: dict[UUID, Lane] = {}
        self._turns: dict[bool, OrderedDict[UUID, Lane]] = {
            False: OrderedDict(),
            True: OrderedDict(),
        }
        self.fast_in_flight = 0
        self.slow_in_flight = 0
        self.size = 0
        self.returns = 0
        """How often any of them gave something back: what was leased before that may come late."""

    def __getitem__(self, endpoint_id: UUID) -> Lane:
        lane = self._lanes.get(endpoint_id)
        if lane is None:
            lane = self._lanes[endpoint_id] = Lane(endpoint_id)
        return lane

    @property
    def room(self) -> int:
        """How many deliveries more fit into memory."""
        return max(0, self._backlog - self.size)

    @property
    def room_for_new(self) -> int:
        """How many of an endpoint nothing is known of yet."""
        return min(self.room, Lane(UUID(int=0)).most_in_hand(self._per_lane, self._backlog))

    def room_for(self, endpoint_id: UUID, now: float) -> int:
        """How many more of this endpoint.

        What does not fit stays in PostgreSQL, where its lease cannot lapse.
        """
        lane = self._lanes.get(endpoint_id)
        if lane is None:
            return self.room_for_new
        if lane.returning or lane.paused_until > now:
            return 0
        most = lane.most_in_hand(self._per_lane, self._backlog)
        return max(0, min(self.room, most - lane.size))

    def overfull(self, lane: Lane) -> bool:
        """Whether it became so much slower that it holds what others could have in hand.

        Who is not slow may keep what anybody new holds: on a busy machine all are less than quick
        at first, and what is given back is leased a second time.
        """
        most = _ROUNDS * lane.most_in_hand(self._per_lane, self._backlog)
        if not (lane.slow or lane.probing):
            most = max(most, self._backlog // _SHARE_OF_NEW)
        return lane.size > most

    def rooms(self, now: float) -> dict[UUID, int]:
        """What each endpoint that is known can take now."""
        return {key: self.room_for(key, now) for key in self._lanes}

    def add(self, owed: Owed) -> None:
        """Take a delivery in hand."""
        lane = self[owed.endpoint_id]
        lane.add(owed)
        self.size += 1
        self._give_turn(lane)

    def next(self) -> tuple[Lane, Owed] | None:
        """Start the delivery whose turn it is; None when nothing can start now."""
        for slow in (False, True):
            while self._turns[slow] and self._has_slot(slow):
                _, lane = self._turns[slow].popitem(last=False)
                if not lane.can_start(self._per_lane):
                    continue  # comes back with `finish` or `add`
                self._turns[lane.slow][lane.endpoint_id] = lane
                if lane.slow is not slow:
                    continue
                if slow:
                    self.slow_in_flight += 1
                else:
                    self.fast_in_flight += 1
                return lane, lane.start()
        return None

    def _has_slot(self, slow: bool) -> bool:
        if slow:
            return self.slow_in_flight < self._slow_slots
        return self.fast_in_flight < self._fast_slots

    def _give_turn(self, lane: Lane) -> None:
        if lane.endpoint_id not in self._turns[not lane.slow]:
            self._turns[lane.slow].setdefault(lane.endpoint_id, lane)

    def turn_slow(self) -> None:
        """An attempt in flight takes long: from here on it holds a slow slot."""
        self.fast_in_flight -= 1
        self.slow_in_flight += 1

    def finish(self, lane: Lane, owed: Owed, *, held_slow: bool) -> None:
        """A started delivery left; `held_slow` says which kind of slot it held at the end."""
        if held_slow:
            self.slow_in_flight -= 1
        else:
            self.fast_in_flight -= 1
        lane.finish(owed)
        self.size -= 1
        self._give_turn(lane)

    def give_back(self, lane: Lane, *further: Owed) -> list[Owed]:
        """Take out what waits in a lane, to be released with these; `returned` when it is."""
        waiting = lane.empty()
        self.size -= len(waiting)
        self.returns += 1
        lane.gave_back = self.returns
        lane.returning += len(further) + len(waiting)
        return [*further, *waiting]

    def give_all_back(self) -> list[Owed]:
        """Take out everything that waits."""
        return [owed for lane in self._lanes.values() for owed in self.give_back(lane)]

    def overtakes(self, owed: Owed, returns: int) -> bool:
        """Whether its lane gave something back after a count of `returns`, when it was leased."""
        return self[owed.endpoint_id].gave_back > returns

    def returned(self, released: Iterable[Owed]) -> None:
        """Nobody has them leased any more."""
        for owed in released:
            self[owed.endpoint_id].returning -= 1

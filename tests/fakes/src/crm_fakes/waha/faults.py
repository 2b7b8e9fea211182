"""Faults that can be switched on while the simulator runs."""

import random
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

FaultKind = Literal[
    "duplicate",  # webhook posted `copies` times at once
    "reorder",  # webhook held back until a later one was accepted, at most `seconds`
    "delay",  # webhook posted `seconds` later
    "drop",  # webhook lost
    "error_before",  # send: 500, nothing sent
    "error_after_accept",  # send: really sent, then 500
    "timeout_after_accept",  # send: really sent, then no answer for `seconds`
    "refuse",  # send: after `seconds` 422 with the session `status` and `expected`
    "unauthorized",  # any call: 401
    "history_error",  # a page of a chat's history: 500
    "number_error",  # a look-up of a number: 500, as WhatsApp's rate-overlimit comes through
    "group_error",  # a group that is looked up: the same as of a picture
    "label_error",  # the account's labels: the same
    "picture_error",  # a profile picture: 500, as WhatsApp's rate-overlimit comes through
    "file_error",  # file, or the bytes of a profile picture: 500
    "file_slow",  # file: its bytes come after `seconds`
]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


@dataclass
class Fault:
    """One fault. `times=None` means until cleared; `session` and `event` narrow it."""

    kind: FaultKind
    times: int | None = None
    probability: float = 1.0
    seconds: float | None = None
    copies: int = 2
    session: str | None = None
    event: str | None = None
    status: str = "STARTING"


DEFAULT_SECONDS = {"reorder": 2.0, "delay": 0.5, "timeout_after_accept": 3600.0, "file_slow": 1.0}


class Faults:
    """The faults now in force, and how often each kind has struck (`struck`)."""

    def __init__(self, seed: int = 0) -> None:
        self._faults: list[Fault] = []
        self._random = random.Random(seed)
        self.struck: dict[str, int] = {}

    def add(self, kind: FaultKind, **options: Any) -> Fault:
        """Switch a fault on; options are the fields of `Fault`. Raises ValueError if unknown."""
        if kind not in KINDS:
            raise ValueError(f"unknown fault {kind!r}; known: {', '.join(KINDS)}")
        try:
            fault = Fault(kind, **options)
        except TypeError as error:
            raise ValueError(str(error)) from error
        if fault.seconds is None:
            fault.seconds = DEFAULT_SECONDS.get(kind, 0.0)
        self._faults.append(fault)
        return fault

    def clear(self, kind: str | None = None) -> None:
        """Switch off one kind, or all."""
        self._faults = [f for f in self._faults if kind is not None and f.kind != kind]

    def active(self) -> list[dict[str, Any]]:
        """Return the faults in force as plain values."""
        return [asdict(fault) for fault in self._faults]

    def strike(
        self, kind: FaultKind, session: str | None = None, event: str | None = None
    ) -> Fault | None:
        """Return the fault that hits now, if any, and count it."""
        for fault in self._faults:
            if fault.kind != kind:
                continue
            if fault.session not in (None, session) or fault.event not in (None, event):
                continue
            if fault.probability < 1.0 and self._random.random() >= fault.probability:
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
            self.struck[kind] = self.struck.get(kind, 0) + 1
            return fault
        return None

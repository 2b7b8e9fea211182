"""How far a call got. Nothing here does I/O.

received < accepted < rejected, which is its end as well. The status is the highest step reported,
and each step keeps the time it was first reported. Whatever comes late is noted and not told: what
is told of a call is in order.
"""

from datetime import datetime

from shared_events.messaging.call import Call, CallStatus

_RANK: dict[CallStatus, int] = {"received": 1, "accepted": 2, "rejected": 3}


def advance(call: Call, step: CallStatus, at: datetime) -> Call:
    """The call after this step; itself when that is known."""
    name = f"{step}_at"
    if getattr(call, name) is not None:
        return call
    status = max(call.status, step, key=_RANK.__getitem__)
    return call.model_copy(update={name: at, "status": status})


def is_next(call: Call, step: CallStatus) -> bool:
    """Whether a step, which the call has just taken, is the highest."""
    return call.status == step

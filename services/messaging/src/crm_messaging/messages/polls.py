"""How polls stand. Nothing here does I/O."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared_events.messaging.poll import PollOption, PollResult, Vote


def result(metadata: Mapping[str, Any], votes: Iterable[Vote]) -> PollResult | None:
    """How a poll stands; None while nobody's vote does.

    `metadata` is the message's: what the poll lets choose. What is voted for beyond it, where the
    poll was not told in full, stands behind.
    """
    standing = [one for one in votes if one.options]
    if not standing:
        return None
    counts = Counter(name for one in standing for name in one.options)
    names = dict.fromkeys([*_offered(metadata), *counts])
    return PollResult(
        options=[PollOption(name=name, votes=counts[name]) for name in names],
        votes=sorted(standing, key=lambda one: (one.at, one.participant or one.by)),
    )


def _offered(metadata: Mapping[str, Any]) -> Sequence[str]:
    # Metadata is a document whose keys anybody may write to.
    poll = metadata.get("poll")
    options = poll.get("options") if isinstance(poll, dict) else None
    return [o for o in options if isinstance(o, str)] if isinstance(options, list) else []

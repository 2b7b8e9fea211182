"""What WAHA tells of votes on polls (docs/waha.md, "Votes")."""

from datetime import datetime

from shared_events import bounds
from shared_events.channels.traffic import ChannelVoteReported

from crm_channels_waha.waha.context import actor_of, told_at
from crm_channels_waha.waha.ids import WahaMessageId, read_message_id
from crm_channels_waha.waha.meaning import Kept, Listener, Voted
from crm_channels_waha.waha.reading import Json, items, mapping, text

_LONGEST = bounds.limit(bounds.PollOption)


def read_vote(envelope: Json, listener: Listener, received_at: datetime) -> Voted | Kept:
    """`poll.vote`: all that somebody chooses of a poll by now, nothing where they withdrew.

    The poll's id may be written from the other side's view: only its bare part is believed. The
    vote's own is WEBJS's for the poll.
    """
    payload = mapping(envelope.get("payload"))
    vote, poll = mapping(payload.get("vote")), mapping(payload.get("poll"))
    target = read_message_id(poll.get("id"))
    act = read_message_id(vote.get("id")) or WahaMessageId("", chat=text(vote.get("from")))
    chosen = vote.get("selectedOptions")
    if target is None or not isinstance(chosen, list):
        return Kept("unhandled", "vote without poll or choice")
    options = [text(option) or text(mapping(option).get("name")) for option in items(chosen)]
    if len(options) > bounds.POLL_OPTIONS or any(not o or len(o) > _LONGEST for o in options):
        return Kept("unhandled", "vote for no option")
    voter = actor_of(envelope, vote, act, act.chat or target.chat, listener)
    if isinstance(voter, Kept):
        return voter
    report = ChannelVoteReported(
        channel_id=listener.id,
        external_id=target.bare,
        from_us=voter.from_us,
        person=voter.person,
        options=[option for option in options if option],
        voted_at=told_at(envelope, received_at, vote.get("timestamp")),
    )
    return Voted(report, voter.chat.chat_id)


def read_failed_vote(envelope: Json, listener: Listener, received_at: datetime) -> Kept:
    """`poll.vote.failed`: nobody knows what was chosen, so whatever was before stands."""
    del envelope, listener, received_at
    return Kept("unhandled", "vote that WAHA could not decrypt")

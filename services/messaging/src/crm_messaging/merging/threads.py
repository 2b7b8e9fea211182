"""In which conversation somebody goes on who had two. Nothing here does I/O."""

from collections.abc import Iterable

from crm_messaging.conversations.models import Conversation
from crm_messaging.conversations.repository import id_of
from crm_messaging.replicas.models import ContactRef


def threads_of(
    winner: ContactRef, loser: ContactRef, conversations: Iterable[Conversation]
) -> dict[str, str]:
    """By channel, where the winner goes on, as `ContactRef.threads` has it.

    In the winner's own; in the loser's where the winner has none on that channel, or where only
    the loser is being talked with: nobody's conversation breaks off by a merge.
    """
    known = {conversation.id: conversation for conversation in conversations}
    threads = dict(winner.threads)
    for channel_id in {conversation.channel_id for conversation in known.values()}:
        ours = known.get(id_of(channel_id, winner, None))
        theirs = known.get(id_of(channel_id, loser, None))
        if theirs is not None and (ours is None or _is_active(ours) < _is_active(theirs)):
            threads[str(channel_id)] = str(theirs.id)
    return threads


def _is_active(conversation: Conversation) -> bool:
    return conversation.status == "active"

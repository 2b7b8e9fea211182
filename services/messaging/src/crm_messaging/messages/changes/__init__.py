"""What becomes of messages after they were said: their text is replaced, people react and vote."""

from service_kit.service import Service
from shared_events.channels import traffic
from shared_events.messaging import message
from shared_events.topology import MESSAGING_CHANNEL_EVENTS

from crm_messaging.messages.changes import consumers, requests


def add_to(service: Service) -> None:
    """What is asked about changes of messages, and what channels tell of them."""
    service.answer(message.ListMessageVersions, requests.list_versions)
    service.answer(message.EditMessage, requests.edit_message)
    service.answer(message.DeleteMessage, requests.delete_message)
    service.answer(message.ReactToMessage, requests.react_to_message)
    service.answer(message.RemoveReaction, requests.remove_reaction)
    queue = MESSAGING_CHANNEL_EVENTS
    service.on(queue, traffic.ChannelMessageEdited, consumers.on_message_edited, together=True)
    reported = traffic.ChannelReactionReported
    service.on(queue, reported, consumers.on_reaction_reported, together=True)
    service.on(queue, traffic.ChannelVoteReported, consumers.on_vote_reported, together=True)
    service.on(queue, traffic.ChannelChangeFailed, consumers.on_change_failed, together=True)

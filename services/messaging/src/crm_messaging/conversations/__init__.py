"""Conversations: the inbox, and how far each was read."""

from service_kit.service import Service
from shared_events.messaging import conversation

from crm_messaging.conversations import requests


def add_to(service: Service) -> None:
    """What is asked about conversations."""
    service.answer(conversation.GetConversation, requests.get_conversation)
    service.answer(conversation.ListConversations, requests.list_conversations)
    service.answer(conversation.GetChat, requests.get_chat)
    service.answer(conversation.ReadConversation, requests.read_conversation)

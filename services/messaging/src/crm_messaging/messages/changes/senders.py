"""Whose a reaction or a vote is: each person has one to a message.

The company is one person, whoever of it it was: they share one number.
"""

from collections.abc import Container, Sequence

from shared_events.identity import WhatsAppId

US = "us"
CUSTOMER = "customer"


def sender_of(
    author: Sequence[WhatsAppId], known: Container[str], *, from_us: bool, in_group: bool
) -> str:
    """What makes two acts one person's: in a chat of two there is but one other person.

    In a group it is the strongest name they are shown by, or another, where they are `known` by it:
    somebody is shown by hidden id alone until their phone is known.
    """
    if from_us:
        return US
    if not in_group:
        return CUSTOMER
    names = [WhatsAppId(each.kind, each.canonical).chat_id for each in author]
    return next((name for name in names if name in known), names[0])


def participant_of(sender: str) -> str | None:
    """Who of a group it was."""
    return sender if sender not in (US, CUSTOMER) else None


def by_whom(*, from_us: bool, asked: bool = False) -> str:
    """Who it was, in a word; `asked`: the company by a request to us, and not on its phone."""
    if not from_us:
        return "customer"
    return "agent" if asked else "phone"

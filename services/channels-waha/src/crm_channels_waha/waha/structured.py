"""Messages with a structure: templates, buttons, lists, orders, products, payments, events.

WAHA leaves most of them in `_data`. Each gives a text to read and, under the name of its kind, what
was offered or chosen. Amounts are in thousandths of the currency's unit, as WhatsApp has them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crm_channels_waha.waha.raw import Raw, known, text_within, within
from crm_channels_waha.waha.reading import Json, items, mapping, number, text, written

_MOST_PARTS = 100


@dataclass(frozen=True, slots=True)
class Structured:
    """What can be read of such a message; neither is there where nothing is known."""

    text: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


def read_structured(raw: Raw) -> Structured:
    """The text and structure of a message of one of these kinds."""
    read = _READERS.get(raw.kind)
    return read(raw.fields) if read else Structured()


def _named(name: str, found: dict[str, Any]) -> dict[str, Any]:
    return {name: found} if found else {}


def _lines(*parts: str | None) -> str | None:
    return "\n".join(part for part in parts if part) or None


def _written(fields: Json) -> Structured:
    return Structured(text(fields.get("text")) or written(fields.get("body")))


def _body(fields: Json) -> str | None:
    """The body's text, which is the body on WEBJS."""
    return text_within(within(fields, "body"), "text") or written(fields.get("body"))


def _answer(fields: Json) -> Structured:
    """What an assistant wrote, in pieces."""
    pieces = _several(fields, "submessages")
    return Structured(_lines(*(text_within(piece, "messageText") for piece in pieces)))


def _offer(fields: Json) -> Structured:
    """Text with buttons or a list to choose from; a carousel is several of them."""
    cards = [_offer(card) for card in items(within(fields, "cards"))[:_MOST_PARTS]]
    title = text_within(fields, "hydratedTitleText", "title") or text(fields.get("text"))
    said = text_within(fields, "hydratedContentText", "contentText", "description") or _body(fields)
    footer = text_within(fields, "hydratedFooterText", "footerText") or text_within(
        within(fields, "footer"), "text"
    )
    buttons = [_button(one) for one in _several(fields, "hydratedButtons", "buttons")]
    sections = [_section(one) for one in _several(fields, "sections")]
    offer = known(
        title=title,
        text=said,
        footer=footer,
        buttons=[button for button in buttons if button],
        sections=[section for section in sections if section],
        cards=[card.details["interactive"] for card in cards if card.details],
    )
    shown = _lines(title, said, footer, *(card.text for card in cards))
    return Structured(shown, _named("interactive", offer))


def _several(fields: Json, *names: str) -> list[Any]:
    for name in names:
        if found := items(within(fields, name)):
            return found[:_MOST_PARTS]
    return []


def _button(button: object) -> dict[str, Any]:
    flow = text_within(button, "buttonParamsJson")
    return known(
        text=text_within(button, "displayText"),
        url=text_within(button, "url"),
        phone=text_within(button, "phoneNumber"),
        id=text_within(button, "buttonId", "id"),
        flow=text_within(button, "name") if flow else None,
        parameters=flow,
    )


def _section(section: object) -> dict[str, Any]:
    rows = [
        known(
            title=text_within(row, "title"),
            description=text_within(row, "description"),
            id=text_within(row, "rowId", "id"),
        )
        for row in items(within(section, "rows", 1))[:_MOST_PARTS]
    ]
    return known(title=text(mapping(section).get("title")), rows=[row for row in rows if row])


def _choice(fields: Json) -> Structured:
    """What somebody picked; `read_content` names its id."""
    flow = within(fields, "nativeFlowResponseMessage")
    answer = known(name=text_within(flow, "name"), parameters=text_within(flow, "paramsJson"))
    said = text_within(fields, "selectedDisplayText", "title", "description") or _body(fields)
    return Structured(said, _named("flow_response", answer))


def _order(fields: Json) -> Structured:
    order = known(
        id=text_within(fields, "orderId"),
        title=text_within(fields, "orderTitle"),
        items=_whole(fields, "itemCount"),
        status=text_within(fields, "status"),
        amount_1000=_whole(fields, "totalAmount1000"),
        currency=text_within(fields, "totalCurrencyCode"),
        message=text_within(fields, "message"),
        token=text_within(fields, "token"),
    )
    return Structured(_lines(order.get("title"), order.get("message")), _named("order", order))


def _product(fields: Json) -> Structured:
    about = within(fields, "product")
    about = about if isinstance(about, Mapping) else fields
    product = known(
        id=text_within(about, "productId"),
        title=text_within(about, "title"),
        description=text_within(about, "description"),
        amount_1000=_whole(about, "priceAmount1000"),
        currency=text_within(about, "currencyCode"),
        url=text_within(about, "url"),
        retailer_id=text_within(about, "retailerId"),
    )
    said = written(fields.get("body")) or product.get("description")
    return Structured(_lines(product.get("title"), said), _named("product", product))


def _payment(fields: Json) -> Structured:
    note = _first(fields, "noteMessage", "requestMessage", "paymentNoteMsg")
    payment = known(
        amount_1000=_whole(fields, "amount1000", "paymentAmount1000"),
        currency=text_within(
            fields, "currencyCodeIso4217", "currencyCode", "currency", "paymentCurrency"
        ),
        note=text_within(note, "text", "conversation", "body") or text_within(fields, "note"),
        expires_at=_whole(fields, "expiryTimestamp"),
    )
    return Structured(payment.get("note"), _named("payment", payment))


def _event(fields: Json) -> Structured:
    event = known(
        name=text_within(fields, "name", "eventName", "eventTitle", "title"),
        description=text_within(fields, "description", "eventDescription", "caption"),
        starts_at=_whole(fields, "startTime", "eventStartTime"),
        ends_at=_whole(fields, "endTime", "eventEndTime"),
        place=text_within(within(fields, "location"), "name", "address"),
        link=text_within(fields, "joinLink"),
        cancelled=True if within(fields, "isCanceled") is True else None,
    )
    return Structured(_lines(event.get("name"), event.get("description")), _named("event", event))


def _invite(fields: Json) -> Structured:
    invite = known(
        group=text_within(fields, "groupJid", "newsletterJid", "inviteGrp"),
        name=text_within(fields, "groupName", "newsletterName", "inviteGrpName"),
        code=text_within(fields, "inviteCode"),
    )
    said = text_within(fields, "caption")
    return Structured(_lines(said, invite.get("name")), _named("invite", invite))


def _poll_result(fields: Json) -> Structured:
    votes = [
        known(option=text_within(one, "optionName"), votes=_whole(one, "optionVoteCount"))
        for one in _several(fields, "pollVotes")
    ]
    result = known(question=text_within(fields, "name"), votes=votes)
    return Structured(result.get("question"), _named("poll_result", result))


def _pack(fields: Json) -> Structured:
    return Structured(text_within(fields, "name", "caption"))


def _first(fields: object, *names: str) -> object:
    return next((found for name in names if (found := within(fields, name)) is not None), None)


def _whole(fields: object, *names: str) -> int | None:
    found = number(_first(fields, *names))
    return int(found) if found is not None else None


_READERS: dict[str, Callable[[Json], Structured]] = {
    **dict.fromkeys(
        (
            *("conversation", "extendedTextMessage", "chat"),
            *("questionResponseMessage", "statusQuestionAnswerMessage"),
        ),
        _written,
    ),
    "richResponseMessage": _answer,
    **dict.fromkeys(
        (
            *("templateMessage", "interactiveMessage", "buttonsMessage", "listMessage"),
            *("highlyStructuredMessage", "list", "interactive", "buttons", "hsm", "template"),
            "native_flow",
        ),
        _offer,
    ),
    **dict.fromkeys(
        (
            *("buttonsResponseMessage", "templateButtonReplyMessage", "listResponseMessage"),
            *("interactiveResponseMessage", "buttons_response", "template_button_reply"),
            *("list_response", "interactive_response"),
        ),
        _choice,
    ),
    **dict.fromkeys(("orderMessage", "order"), _order),
    **dict.fromkeys(("productMessage", "product"), _product),
    **dict.fromkeys(
        (
            *("sendPaymentMessage", "requestPaymentMessage", "declinePaymentRequestMessage"),
            *("cancelPaymentRequestMessage", "paymentInviteMessage", "invoiceMessage", "payment"),
        ),
        _payment,
    ),
    **dict.fromkeys(
        (
            *("eventMessage", "eventInviteMessage", "scheduledCallCreationMessage"),
            *("event_creation", "scheduled_event_creation"),
        ),
        _event,
    ),
    **dict.fromkeys(
        (
            *("groupInviteMessage", "groups_v4_invite", "newsletterAdminInviteMessage"),
            *("newsletterFollowerInviteMessage", "newsletterFollowerInviteMessageV2"),
        ),
        _invite,
    ),
    **dict.fromkeys(("pollResultSnapshotMessage", "pollResultSnapshotMessageV3"), _poll_result),
    "stickerPackMessage": _pack,
}

"""Where a message is: hop by hop, with times and what lies between them (docs/architecture.md)."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response

from crm_console import pages
from crm_console.gateway import Caller, Json
from crm_console.visitor import Crm, Myself, Said

router = APIRouter()
_MESSAGES = 20
"""Messages of a contact that are shown at once; the gateway gives no more."""


@dataclass(frozen=True)
class Step:
    """A hop; `seconds` after the last one whose time is known, where that says something."""

    hop: Json
    seconds: float | None

    @property
    def why(self) -> str:
        """What went wrong there; empty if nothing did."""
        detail = self.hop["detail"]
        return str(detail.get("reason") or detail.get("last_error") or "")

    @property
    def detail(self) -> Json:
        """What else is known of it."""
        return {name: value for name, value in self.hop["detail"].items() if value is not None}


def steps(hops: list[Json]) -> list[Step]:
    """Hops, in their order, with what lies between them.

    Clocks differ, and WhatsApp knows whole seconds: a time before the one in front says nothing.
    """
    before = [None, *accumulate((hop["at"] for hop in hops), lambda last, at: at or last)]
    return [Step(hop, _between(last, hop["at"])) for last, hop in zip(before, hops, strict=False)]


@router.get("/messages/{message_id}/journey")
async def show(crm: Crm, me: Myself, said: Said, message_id: UUID) -> Response:
    """One message and its way, which the page follows."""
    return pages.page("journey.html", said, me, **await _of_message(crm, message_id))


@router.get("/messages/{message_id}/hops")
async def refresh(crm: Crm, said: Said, message_id: UUID) -> Response:
    """Its way alone, as it is now."""
    return pages.part("_journey.html", said, **await _of_message(crm, message_id))


@router.get("/contacts/{contact_id}/journey")
async def of_contact(
    crm: Crm,
    me: Myself,
    said: Said,
    contact_id: UUID,
    cursor: Annotated[str, Query(max_length=1000)] = "",
) -> Response:
    """The ways of a contact's messages, newest first, a page at a time."""
    path = f"/contacts/{contact_id}"
    contact, journeys, messages = await asyncio.gather(
        crm.get(path),
        crm.get(f"{path}/journey", limit=_MESSAGES, cursor=cursor),
        crm.get(f"{path}/messages", limit=_MESSAGES, cursor=cursor, sort="-sent_at"),
    )
    return pages.page(
        "journeys.html",
        said,
        me,
        contact=contact,
        journeys=list(_with_messages(journeys["data"], messages["data"])),
        older=journeys["next_cursor"],
    )


async def _of_message(crm: Caller, message_id: UUID) -> Json:
    path = f"/messages/{message_id}"
    message, journey = await asyncio.gather(crm.get(path), crm.get(f"{path}/journey"))
    return {"message": message, "journey": journey, "steps": steps(journey["hops"])}


def _with_messages(journeys: Iterable[Json], messages: list[Json]) -> Iterable[Json]:
    by_id = {message["id"]: message for message in messages}
    for journey in journeys:
        message = by_id.get(journey["message_id"])
        yield {"message": message, "journey": journey, "steps": steps(journey["hops"])}


def _between(before: str | None, after: str | None) -> float | None:
    if before is None or after is None:
        return None
    seconds = (datetime.fromisoformat(after) - datetime.fromisoformat(before)).total_seconds()
    return seconds if seconds > 0 else None

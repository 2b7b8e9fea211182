"""Messages of a conversation that wait for their time."""

from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from crm_console import pages
from crm_console.gateway import Caller
from crm_console.visitor import Crm, Said
from crm_console.words import Words

router = APIRouter(prefix="/conversations/{conversation_id}/scheduled")


@router.get("")
async def show(crm: Crm, said: Said, conversation_id: UUID) -> Response:
    """Those that wait, the next first."""
    return await _list(crm, said, conversation_id)


@router.post("/{message_id}/cancel")
async def cancel(
    request: Request, crm: Crm, said: Said, conversation_id: UUID, message_id: UUID
) -> Response:
    """Keep one from being sent; refused if it was queued in between."""
    await crm.delete(f"/messages/scheduled/{message_id}")
    waiting = await _list(crm, said, conversation_id)
    return pages.done(request, waiting, f"/conversations/{conversation_id}")


async def _list(crm: Caller, said: Words, conversation_id: UUID) -> Response:
    conversation = await crm.get(f"/conversations/{conversation_id}")
    waiting = await crm.listed("/messages/scheduled", conversation_id=str(conversation_id))
    return pages.part("_scheduled.html", said, conversation=conversation, waiting=waiting.rows)

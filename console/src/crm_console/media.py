"""Files of messages: a lasting address that leads to one that is good for a while."""

from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from crm_console.gateway import RefusedError
from crm_console.visitor import Crm

router = APIRouter()


@router.get("/media/{media_id}")
async def locate(crm: Crm, media_id: UUID) -> Response:
    """Lead to a file's bytes; they come from the gateway's origin, never from the console's."""
    file = await crm.get(f"/media/{media_id}")
    if not file.get("url"):
        raise RefusedError(404, "file_not_here", "The file is not here.")
    return RedirectResponse(file["url"], 303)

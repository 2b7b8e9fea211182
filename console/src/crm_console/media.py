"""Files of messages: a lasting address that leads to one that is good for a while."""

from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from crm_console.gateway import RefusedError
from crm_console.visitor import Crm

router = APIRouter()


@router.get("/media/{media_id}")
async def locate(crm: Crm, media_id: UUID, small: bool = False) -> Response:
    """Lead to a file's bytes; they come from the gateway's origin, never from the console's.

    `small`: a small picture will do, where there is one.
    """
    file = await crm.get(f"/media/{media_id}")
    url = (small and file.get("thumbnail_url")) or file.get("url")
    if not url:
        raise RefusedError(404, "file_not_here", "The file is not here.")
    return RedirectResponse(url, 303)

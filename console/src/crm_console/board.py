"""The board: a pipeline's contacts, a column for each status, and moving them between columns."""

import asyncio
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from crm_console import pages
from crm_console.gateway import Caller, Json
from crm_console.visitor import Crm, Me, Myself, Said
from crm_console.words import Words

router = APIRouter(prefix="/board")
_CARDS = 20
"""Cards of a column at first; the gateway gives no more."""


class Shown(BaseModel):
    """Of which statuses more is shown: a page more for each time one is named."""

    more: list[UUID] = Field(default_factory=list, max_length=20)

    def query(self, *also: str) -> str:
        """As the query of a link to it, perhaps with more of a status."""
        return urlencode({"more": [*map(str, self.more), *also]}, doseq=True)


Wanted = Annotated[Shown, Query()]


@router.get("")
async def choose(crm: Crm, me: Myself, said: Said) -> Response:
    """The board of the first pipeline there is."""
    pipelines = await crm.get("/pipelines", limit=1)
    if not pipelines["data"]:
        return pages.page("board.html", said, me, pipelines=[], board=None)
    return RedirectResponse(f"/board/{pipelines['data'][0]['id']}", 303)


@router.get("/{pipeline_id}")
async def show(crm: Crm, me: Myself, said: Said, pipeline_id: UUID, shown: Wanted) -> Response:
    """The board of this pipeline, and a way to the others."""
    pipelines, board = await asyncio.gather(
        crm.listed("/pipelines", 2), _read(crm, pipeline_id, shown)
    )
    return pages.page(
        "board.html",
        said,
        me,
        pipelines=pipelines.rows,
        board=board,
        shown=shown,
        may_move=me.may("contacts.update"),
    )


@router.get("/{pipeline_id}/columns")
async def refresh(crm: Crm, me: Myself, said: Said, pipeline_id: UUID, shown: Wanted) -> Response:
    """The columns, as they are now."""
    return await _columns(crm, me, said, pipeline_id, shown)


@router.post("/{pipeline_id}/move")
async def move(
    request: Request,
    crm: Crm,
    me: Myself,
    said: Said,
    pipeline_id: UUID,
    shown: Wanted,
    contact_id: Annotated[UUID, Form()],
    status_id: Annotated[UUID, Form()],
    version: Annotated[int, Form(ge=0, lt=2**31)],
) -> Response:
    """Put a contact at another status; refused if it is no longer what was shown."""
    place = {"pipeline_id": str(pipeline_id), "status_id": str(status_id)}
    await crm.put(f"/contacts/{contact_id}/pipeline-status", place, version=version)
    columns = await _columns(crm, me, said, pipeline_id, shown)
    return pages.done(request, columns, f"/board/{pipeline_id}?{shown.query()}")


async def _columns(crm: Caller, me: Me, said: Words, pipeline_id: UUID, shown: Shown) -> Response:
    board = await _read(crm, pipeline_id, shown)
    may_move = me.may("contacts.update")
    return pages.part("_board.html", said, board=board, shown=shown, may_move=may_move)


async def _read(crm: Caller, pipeline_id: UUID, shown: Shown) -> Json:
    board = await crm.get(f"/pipelines/{pipeline_id}/board", limit=_CARDS)
    await asyncio.gather(*(_lengthen(crm, column, shown) for column in board["columns"]))
    return board


async def _lengthen(crm: Caller, column: Json, shown: Shown) -> None:
    """Add to a column what is shown of it beyond its first cards."""
    status_id = column["status"]["id"]
    times = list(map(str, shown.more)).count(status_id)
    if times and column["has_more"]:
        rest = await crm.listed(
            "/contacts", times, after=column["next_cursor"], pipeline_status_id=status_id
        )
        column["contacts"] += rest.rows
        column["has_more"] = rest.has_more

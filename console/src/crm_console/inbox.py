"""The inbox: conversations with the newest activity first."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from crm_console import pages
from crm_console.gateway import Caller, Listed
from crm_console.visitor import Crm, Myself, Said

router = APIRouter()
View = Literal["all", "me", "none"]


class Shown(BaseModel):
    """Which conversations are wanted, how many pages of them are shown, and which one is open."""

    view: View = "all"
    unread: bool = False
    search: str = Field(default="", max_length=200)
    pages: int = Field(default=1, ge=1, le=20)
    opened: UUID | None = None

    def query(self, **changed: object) -> dict[str, object]:
        """As the query of a link to it, or to another like it."""
        other = self.model_copy(update={"pages": 1, "opened": None, **changed})
        return other.model_dump(exclude_defaults=True)


Wanted = Annotated[Shown, Query()]


async def conversations(crm: Caller, shown: Shown) -> Listed:
    """The conversations of this view."""
    return await crm.listed(
        "/conversations",
        shown.pages,
        assigned=shown.view,
        unread="true" if shown.unread else None,
        search=shown.search.strip(),
    )


@router.get("/")
async def show(crm: Crm, me: Myself, said: Said, shown: Wanted) -> Response:
    """The inbox without an open conversation."""
    listed = await conversations(crm, shown)
    return pages.page("inbox.html", said, me, shown=shown, listed=listed)


@router.get("/inbox")
async def refresh(crm: Crm, said: Said, shown: Wanted) -> Response:
    """The list alone, as it is now."""
    listed = await conversations(crm, shown)
    return pages.part("_list.html", said, shown=shown, listed=listed)

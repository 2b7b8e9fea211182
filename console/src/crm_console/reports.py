"""Reports: how much was said in a period, and how long customers waited."""

from datetime import date, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from crm_console import pages
from crm_console.gateway import Json
from crm_console.visitor import Crm, Myself, Said
from crm_console.words import Words

router = APIRouter(prefix="/reports")
BY = ("day", "agent", "channel")
COUNTS = {
    "messages_in": "volume",
    "messages_out": "volume",
    "sessions_started": "",
    "sessions_closed": "",
    "sessions_expired": "",
    "first_responses": "",
}
"""What is counted, and the chart that shows it."""
SPANS = {
    "first_response_median_seconds": "time",
    "first_response_p90_seconds": "",
    "resolution_median_seconds": "time",
    "resolution_p90_seconds": "",
}
"""What is measured in seconds, and the chart that shows it in minutes."""
_DAYS = 30


class Wanted(BaseModel):
    """A period by its first and last day, the last thirty unless said, and what a row is."""

    first: date | None = Field(default=None, alias="from")
    last: date | None = Field(default=None, alias="to")
    by: Literal["day", "agent", "channel"] = "day"


@router.get("")
async def show(crm: Crm, me: Myself, said: Said, wanted: Annotated[Wanted, Query()]) -> Response:
    """Conversations by day, agent or number; days are the reader's."""
    last = wanted.last or said.today
    first = wanted.first or last - timedelta(days=_DAYS - 1)
    report = await crm.get(
        "/reports/conversations",
        **{"from": said.midnight(first), "to": said.midnight(last + timedelta(days=1))},
        by=wanted.by,
        timezone=said.zone,
    )
    return pages.page(
        "reports.html",
        said,
        me,
        first=first,
        last=last,
        by=wanted.by,
        choices=BY,
        rows=[(_name(row, said), row) for row in report["data"]],
        total=report["total"],
        counts=COUNTS,
        spans=SPANS,
    )


def _name(row: Json, said: Words) -> str:
    if row["day"]:
        return said.brief(date.fromisoformat(row["day"]))
    known = row["name"] or said("session.somebody")
    return str(known) if row["agent_id"] or row["channel_id"] else said("session.nobody")

"""Webhooks: a company's endpoints, what each was told, and how that went."""

import asyncio
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from crm_console import pages
from crm_console.visitor import Crm, Myself, Said

router = APIRouter(prefix="/webhooks")
STATUSES = ("pending", "retrying", "delivered", "exhausted", "cancelled")


class Shown(BaseModel):
    """Which deliveries are wanted, and how many pages of them."""

    status: Literal["", "pending", "retrying", "delivered", "exhausted", "cancelled"] = ""
    pages: int = Field(default=1, ge=1, le=20)


@router.get("")
async def show(crm: Crm, me: Myself, said: Said) -> Response:
    """All endpoints."""
    endpoints = await crm.listed("/webhook-endpoints")
    return pages.page("webhooks.html", said, me, endpoints=endpoints.rows)


@router.get("/deliveries/{delivery_id}")
async def delivery(crm: Crm, me: Myself, said: Said, delivery_id: UUID) -> Response:
    """One delivery with all its attempts."""
    found = await crm.get(f"/webhook-deliveries/{delivery_id}")
    may_manage = me.may("webhooks.manage")
    return pages.page("delivery.html", said, me, delivery=found, may_manage=may_manage)


@router.post("/deliveries/{delivery_id}/redeliver")
async def redeliver(crm: Crm, delivery_id: UUID) -> Response:
    """Have it tried once more."""
    await crm.post(f"/webhook-deliveries/{delivery_id}/redeliver", {})
    return RedirectResponse(f"/webhooks/deliveries/{delivery_id}", 303)


@router.get("/{endpoint_id}")
async def endpoint(
    crm: Crm, me: Myself, said: Said, endpoint_id: UUID, shown: Annotated[Shown, Query()]
) -> Response:
    """An endpoint with what it was told, newest first."""
    path = f"/webhook-endpoints/{endpoint_id}"
    found, deliveries = await asyncio.gather(
        crm.get(path), crm.listed(f"{path}/deliveries", shown.pages, status=shown.status)
    )
    return pages.page(
        "endpoint.html",
        said,
        me,
        endpoint=found,
        deliveries=deliveries,
        shown=shown,
        statuses=STATUSES,
    )

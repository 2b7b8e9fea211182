"""What the tests of pipelines share: a company whose contacts go through one."""

from typing import Any
from uuid import UUID

from shared_events.contacts.contact import CreateContact
from shared_events.contacts.pipeline import (
    CreatePipeline,
    CreateStatus,
    GetPipeline,
    ListStays,
    MoveContact,
)

from crm_testing.scenes.contacts import Shop


class Funnel:
    """A pipeline of a company, with its statuses by name."""

    def __init__(self, shop: Shop, pipeline_id: UUID) -> None:
        self.shop = shop
        self.id = pipeline_id
        self.statuses: dict[str, UUID] = {}

    @classmethod
    async def of(cls, shop: Shop, *names: str, name: str = "Vendas") -> "Funnel":
        """A new pipeline with these statuses."""
        made = await shop.value(CreatePipeline(name=name))
        funnel = cls(shop, UUID(made["id"]))
        for status in names:
            await funnel.add(status)
        return funnel

    async def add(self, name: str, **fields: Any) -> dict[str, Any]:
        """One more status."""
        made = await self.shop.value(CreateStatus(pipeline_id=self.id, name=name, **fields))
        self.statuses[name] = UUID(made["id"])
        return made

    async def shown(self) -> dict[str, Any]:
        """The pipeline as customers see it."""
        return await self.shop.value(GetPipeline(pipeline_id=self.id))

    async def names(self) -> list[str]:
        """The names of its statuses in their order; their positions have no gaps."""
        statuses = (await self.shown())["statuses"]
        assert [status["position"] for status in statuses] == list(range(len(statuses)))
        return [status["name"] for status in statuses]

    async def enter(self, status: str | None = None, name: str = "Maria") -> UUID:
        """A new contact, at this status."""
        created = await self.shop.value(
            CreateContact(
                name=name,
                pipeline_id=self.id,
                pipeline_status_id=self.statuses[status] if status else None,
            )
        )
        return UUID(created["id"])

    def move(self, contact_id: UUID, status: str, **fields: Any) -> MoveContact:
        """The request that puts a contact there."""
        return MoveContact(
            contact_id=contact_id, pipeline_id=self.id, status_id=self.statuses[status], **fields
        )

    async def stays(self, contact_id: UUID) -> list[dict[str, Any]]:
        """Where a contact has been, newest first."""
        found: list[dict[str, Any]] = (await self.shop.value(ListStays(contact_id=contact_id)))[
            "data"
        ]
        return found

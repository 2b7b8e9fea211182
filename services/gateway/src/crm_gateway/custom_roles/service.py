"""The roles a company makes for itself, beside admin, supervisor and agent."""

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.ids import uuid7
from shared_events.requests import Nothing, Page

from crm_gateway.access.roles import check_covers
from crm_gateway.access.standings import Standings
from crm_gateway.audit.repository import record
from crm_gateway.custom_roles import repository
from crm_gateway.custom_roles.models import RoleRow
from crm_gateway.custom_roles.schemas import (
    CreateRole,
    DeleteRole,
    GetRole,
    ListRoles,
    PatchRole,
    Role,
)
from crm_gateway.rest.own import OwnCall, OwnRequests


class CustomRoles:
    """Answers the role routes, each in the transaction of its tenant.

    Nobody makes, changes or removes a role that may do more than they may, their own included.
    """

    def __init__(self, standings: Standings) -> None:
        self._standings = standings

    def add_to(self, own: OwnRequests) -> None:
        """What is asked about roles."""
        own.answer(CreateRole, self.create)
        own.answer(PatchRole, self.patch)
        own.answer(DeleteRole, self.delete)
        own.answer(GetRole, self.get)
        own.answer(ListRoles, self.list)

    async def create(self, tx: Transaction, request: CreateRole, call: OwnCall) -> Role:
        """A role of these permissions."""
        check_covers(call.principal.permissions, request.permissions)
        row = RoleRow(
            id=uuid7(),
            tenant_id=tx.tenant_id,
            name=request.name,
            permissions=list(dict.fromkeys(request.permissions)),
            sees=request.sees,
        )
        made = await repository.insert(tx, row)
        await record(tx, call, "role.create", made.id, after=made.model_dump(mode="json"))
        return made

    async def patch(self, tx: Transaction, request: PatchRole, call: OwnCall) -> Role:
        """Change a role; in every gateway it acts with the commit."""
        role = await repository.lock(tx, request.role_id, call.expected_version)
        given = request.model_dump(exclude={"role_id"}, exclude_unset=True)
        kept = {name: value for name, value in given.items() if value is not None or name == "sees"}
        changed = role.model_copy(update=kept)
        check_covers(call.principal.permissions, [*role.permissions, *changed.permissions])
        if changed == role:
            return role
        saved = await repository.save(tx, changed)
        await self._standings.everybody_changed(tx)
        before, after = role.model_dump(mode="json"), saved.model_dump(mode="json")
        await record(tx, call, "role.patch", saved.id, before=before, after=after)
        return saved

    async def delete(self, tx: Transaction, request: DeleteRole, call: OwnCall) -> Nothing:
        """Remove a role that nobody has."""
        role = await repository.lock(tx, request.role_id, call.expected_version)
        check_covers(call.principal.permissions, role.permissions)
        await repository.delete(tx, role)
        await record(tx, call, "role.delete", role.id, before=role.model_dump(mode="json"))
        return Nothing()

    async def get(self, tx: Transaction, request: GetRole, call: Call) -> Role:
        """One role."""
        del call
        return await repository.get(tx, request.role_id)

    async def list(self, tx: Transaction, request: ListRoles, call: Call) -> Page[Role]:
        """A page of roles."""
        del call
        return await repository.page(tx, request)

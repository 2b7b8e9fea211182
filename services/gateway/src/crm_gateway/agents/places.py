"""Which role a person has: one that all companies have, or one the company made for itself."""

from dataclasses import dataclass
from typing import cast

from service_kit.database import Transaction
from service_kit.errors import InvalidError
from shared_events.gateway.agent import Agent, CustomRole, Role

from crm_gateway.access.roles import ROLES, check_covers, permissions_of
from crm_gateway.custom_roles import repository as custom_roles
from crm_gateway.rest.own import OwnCall


@dataclass(frozen=True, slots=True)
class Place:
    """A role as it is given. To whoever knows no custom roles, who has one is an `agent`."""

    role: Role
    custom_role: CustomRole | None = None


async def place_of(tx: Transaction, reference: str, *, lock: bool = True) -> Place:
    """The role of this name, or the custom one of this id; raises InvalidError for none.

    A custom role that is locked stays as it is until the transaction ends.
    """
    if reference in ROLES:
        return Place(cast(Role, reference))
    custom = await custom_roles.named(tx, reference, lock=lock)
    if custom is None:
        raise InvalidError.field("role", "unknown_role", "The company has no such role.")
    return Place("agent", CustomRole(id=custom.id, name=custom.name))


async def check_may_act_on(tx: Transaction, call: OwnCall, *people: Agent | Place) -> None:
    """Who manages agents makes nobody of more power than their own, and unmakes nobody of more;
    raises ForbiddenError."""
    common = permissions_of(person.role for person in people if person.custom_role is None)
    made = {person.custom_role.id for person in people if person.custom_role is not None}
    custom = await custom_roles.granted(tx, made) if made else ()
    check_covers(call.principal.permissions, (*common, *custom))

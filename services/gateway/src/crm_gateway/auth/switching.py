"""From one company of a person's to another, without logging in anew."""

from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from shared_events.requests import Page

from crm_gateway.auth import repository
from crm_gateway.auth.logins import Logins, is_fresh, no_refresh_token
from crm_gateway.auth.memberships import Memberships
from crm_gateway.auth.schemas import ListMyTenants, LoggedIn, MyTenant, SwitchTenant
from crm_gateway.rest.own import OwnCall, OwnHandler, OwnRequests


class Switching:
    """Answers which companies there are for somebody, and lets them go on in another."""

    def __init__(self, memberships: Memberships, logins: Logins) -> None:
        self._memberships = memberships
        self._logins = logins

    def add_to(self, own: OwnRequests) -> None:
        """What is asked about companies of one's own."""
        own.answer_prepared(ListMyTenants, self.list)
        own.answer_prepared(SwitchTenant, self.switch, shows_secret=True)

    async def list(
        self, request: ListMyTenants, call: OwnCall
    ) -> OwnHandler[ListMyTenants, Page[MyTenant]]:
        """All of them; there are few."""
        del request
        places = await self._memberships.of_agent(call.principal.tenant_id, call.person())
        here = call.principal.tenant_id

        async def show(tx: Transaction, request: ListMyTenants, call: OwnCall) -> Page[MyTenant]:
            del tx, request, call
            data = [
                MyTenant(**place.tenant.model_dump(), current=place.tenant_id == here)
                for place in places
            ]
            return Page(data=data, has_more=False, next_cursor=None)

        return show

    async def switch(
        self, request: SwitchTenant, call: OwnCall
    ) -> OwnHandler[SwitchTenant, LoggedIn]:
        """Tokens for another company; NotFoundError for one that does not let the caller in.

        What that company demands of its people it demands of who comes this way too. It takes this
        login's refresh token, or UnauthenticatedError: an access token that was stolen ends soon.
        """
        places = await self._memberships.of_agent(call.principal.tenant_id, call.person())

        async def switch(tx: Transaction, request: SwitchTenant, call: OwnCall) -> LoggedIn:
            here = tx.tenant_id
            me = await repository.get_member(tx, call.person())
            mine = await repository.lock_refresh_token(tx, request.refresh_token)
            if not (me and mine and mine.user_id == me.account_id and is_fresh(mine, me)):
                raise no_refresh_token()
            wanted = str(request.tenant_id)
            agent_id = next((each.agent_id for each in places if each.tenant_id == wanted), None)
            if agent_id is None:
                raise NotFoundError("tenant")
            await tx.act_for(wanted)
            member = await repository.get_member(tx, agent_id)
            if member is None or not member.active:
                raise NotFoundError("tenant")
            tenants = [each.tenant for each in places]
            logged_in = await self._logins.begin(tx, member, tenants)
            await tx.act_for(here)  # whose request this is, and whose reply is kept
            return logged_in

        return switch

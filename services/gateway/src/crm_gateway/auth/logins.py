"""Tokens for who has proved who they are: of one person, in one company."""

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from service_kit.database import Transaction
from service_kit.errors import UnauthenticatedError

from crm_gateway.access.tokens import AccessTokens
from crm_gateway.auth import memberships, repository
from crm_gateway.auth.models import RefreshToken
from crm_gateway.auth.schemas import LoggedIn, Member, TenantView, Tokens, UserView


class Logins:
    """Begins logins, and goes on with them."""

    def __init__(self, tokens: AccessTokens, *, refresh_ttl_seconds: int) -> None:
        self._tokens = tokens
        self._refresh_ttl = timedelta(seconds=refresh_ttl_seconds)

    async def begin(
        self, tx: Transaction, member: Member, tenants: Iterable[TenantView] = ()
    ) -> LoggedIn:
        """A login to the transaction's tenant, of who may switch to these, if to more than it."""
        await memberships.enter(tx, member.user_id)
        tokens = await self.go_on(tx, member, family_id=uuid4())
        tenant = tenant_view(member)
        return LoggedIn(
            **tokens.model_dump(),
            user=user_view(member),
            tenant=tenant,
            tenants=tuple(tenants) or (tenant,),
        )

    async def go_on(self, tx: Transaction, member: Member, family_id: UUID) -> Tokens:
        """Another pair of the same login."""
        refresh_token = secrets.token_urlsafe(32)
        await repository.add_refresh_token(
            tx,
            refresh_token,
            account_id=member.account_id,
            family_id=family_id,
            token_version=member.token_version,
            expires_at=datetime.now(UTC) + self._refresh_ttl,
        )
        return Tokens(
            access_token=self._tokens.issue(
                user_id=member.user_id,
                tenant_id=member.tenant_id,
                role=member.role,
                version=member.token_version,
            ),
            refresh_token=refresh_token,
            expires_in=self._tokens.ttl,
        )


def is_fresh(token: RefreshToken, member: Member) -> bool:
    """Whether a refresh token may still be exchanged for another, by who this is today."""
    return (
        token.used_at is None
        and token.revoked_at is None
        and token.expires_at > datetime.now(UTC)
        and token.token_version == member.token_version
        and member.active
    )


def no_refresh_token() -> UnauthenticatedError:
    """Why it is not exchanged; that is all a stranger is told."""
    return UnauthenticatedError("invalid_refresh_token", "The refresh token is not valid.")


def user_view(member: Member) -> UserView:
    """The person of a member."""
    return UserView(
        id=member.user_id,
        name=member.name,
        email=member.email,
        email_verified=member.email_verified,
    )


def tenant_view(member: Member) -> TenantView:
    """The company of a member."""
    return TenantView(id=UUID(member.tenant_id), name=member.tenant_name)

"""SQL of users, tenants and refresh tokens.

What is found before a tenant is known runs in the scope "login" and looks at users and refresh
tokens only; everything after that acts for the tenant that was found.
"""

import hashlib
from datetime import datetime
from uuid import UUID

from asyncpg import Record
from service_kit.database import Transaction
from service_kit.ids import uuid7

from crm_gateway.auth.schemas import Member, StoredRefreshToken


def token_hash(token: str) -> str:
    """How a token with 256 random bits is kept: a fast hash is enough for it."""
    return hashlib.sha256(token.encode()).hexdigest()


async def find_login(tx: Transaction, email: str) -> Record | None:
    """`id, tenant_id, password_hash` of the user with this e-mail, in any tenant."""
    return await tx.fetchrow(
        "SELECT id, tenant_id, password_hash FROM users WHERE email = $1", email
    )


async def take_invitation(tx: Transaction, token: str, password_hash: str) -> Record | None:
    """Give the invited user a password, once; `id, tenant_id`, or None for a stale token."""
    return await tx.fetchrow(
        "UPDATE users SET password_hash = $2, invitation_hash = NULL,"
        " invitation_expires_at = NULL, updated_at = now()"
        " WHERE invitation_hash = $1 AND invitation_expires_at > now() RETURNING id, tenant_id",
        token_hash(token),
        password_hash,
    )


async def lock_refresh_token(tx: Transaction, token: str) -> StoredRefreshToken | None:
    """The refresh token, in any tenant, locked: of two uses at once one comes second."""
    row = await tx.fetchrow(
        "SELECT tenant_id, user_id, family_id, expires_at, used_at, revoked_at"
        " FROM refresh_tokens WHERE token_hash = $1 FOR UPDATE",
        token_hash(token),
    )
    return StoredRefreshToken.model_validate(dict(row)) if row else None


async def mark_used(tx: Transaction, token: str) -> None:
    """Note that the token was exchanged."""
    await tx.execute(
        "UPDATE refresh_tokens SET used_at = now() WHERE token_hash = $1", token_hash(token)
    )


async def revoke_family(tx: Transaction, family_id: UUID) -> None:
    """End one login."""
    await tx.execute(
        "UPDATE refresh_tokens SET revoked_at = now() WHERE family_id = $1 AND revoked_at IS NULL",
        family_id,
    )


async def revoke_user(tx: Transaction, user_id: UUID) -> None:
    """End every login of a user."""
    await tx.execute(
        "UPDATE refresh_tokens SET revoked_at = now() WHERE user_id = $1 AND revoked_at IS NULL",
        user_id,
    )


async def purge_refresh_tokens(tx: Transaction) -> None:
    """Remove what has expired; a used token must stay until then, to be recognised."""
    await tx.execute("DELETE FROM refresh_tokens WHERE expires_at < now()")


async def add_refresh_token(
    tx: Transaction, token: str, *, user_id: UUID, family_id: UUID, expires_at: datetime
) -> None:
    """Keep a new refresh token."""
    await tx.execute(
        "INSERT INTO refresh_tokens (id, tenant_id, user_id, family_id, token_hash, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        uuid7(),
        tx.tenant_id,
        user_id,
        family_id,
        token_hash(token),
        expires_at,
    )


async def add_project(tx: Transaction, name: str) -> None:
    """Create the tenant the transaction acts for."""
    await tx.execute(
        "INSERT INTO projects (id, tenant_id, name) VALUES ($1, $2, $3)",
        UUID(tx.tenant_id),
        tx.tenant_id,
        name,
    )


async def get_member(tx: Transaction, user_id: UUID) -> Member | None:
    """The user with tenant and role, within the tenant."""
    row = await tx.fetchrow(
        "SELECT u.id AS user_id, u.tenant_id, u.name, u.email, p.name AS tenant_name,"
        " a.role, a.active FROM users u JOIN agents a ON a.id = u.id"
        " JOIN projects p ON p.tenant_id = u.tenant_id WHERE u.id = $1",
        user_id,
    )
    return Member.model_validate(dict(row)) if row else None

"""SQL of users, tenants and refresh tokens.

What is found before a tenant is known runs in the scope "login" and looks at users and refresh
tokens only; everything after that acts for the tenant that was found. A user is known by the
account's id, and in each tenant by an agent's, which is the account's own where that was opened.
"""

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.ids import uuid7
from service_kit.rows import Rows, Shape

from crm_gateway.auth.models import Project, RefreshToken, User
from crm_gateway.auth.schemas import Member

USERS = Rows(User)
_PROJECTS = Rows(Project)
_TOKENS = Rows(RefreshToken)
_MEMBER = Shape(Member)
_INVITED = """
(invitation_hash = $1 OR verification_hash = $1) AND password_hash IS NULL
    AND invitation_expires_at > now()
"""
_RENEW_FIRST = """
UPDATE users SET invitation_hash = $3, verification_hash = $4, invitation_expires_at = $5,
    updated_at = now()
WHERE tenant_id = $1 AND id = $2 AND password_hash IS NULL
"""
_RENEW_FURTHER = """
UPDATE agents SET invitation_hash = $3, verification_hash = $4, invitation_expires_at = $5,
    updated_at = now()
WHERE tenant_id = $1 AND id = $2 AND account_id IS NOT NULL AND joined_at IS NULL
"""
_MEMBERS = """
SELECT a.id AS user_id, u.id AS account_id, a.tenant_id, coalesce(a.known_as, u.name) AS name,
    u.email, p.name AS tenant_name, u.token_version AS account_version,
    a.token_version AS place_version, u.email_verified_at IS NOT NULL AS email_verified,
    a.role, a.active
FROM agents a JOIN users u ON u.id = a.user_id JOIN projects p ON p.tenant_id = a.tenant_id
WHERE a.tenant_id = $1 AND (a.account_id IS NULL OR a.joined_at IS NOT NULL) AND
"""
_IS_INVITED = f"SELECT true FROM users WHERE {_INVITED}"  # noqa: S608 - our own text
_TAKE_INVITATION = f"""
UPDATE users SET password_hash = $2, language = coalesce($3, language),
    email_verified_at = CASE WHEN verification_hash = $1 THEN now() END,
    invitation_hash = NULL, invitation_expires_at = NULL,
    verification_hash = NULL, verification_expires_at = NULL, updated_at = now()
WHERE {_INVITED} RETURNING *
"""  # noqa: S608 - our own text


@dataclass(frozen=True, slots=True)
class Invited:
    """What brings in who is invited: the hashes of two tokens, named as the columns are."""

    invitation_hash: str
    verification_hash: str
    invitation_expires_at: datetime


def token_hash(token: str) -> str:
    """How a token with 256 random bits is kept: a fast hash is enough for it."""
    return hashlib.sha256(token.encode()).hexdigest()


async def find_login(tx: Transaction, email: str) -> User | None:
    """The user with this e-mail, in any tenant."""
    return await USERS.first(tx, "SELECT * FROM users WHERE email = $1", email)


async def is_invited(tx: Transaction, token: str) -> bool:
    """Whether the token is of an invitation, mailed or not, in any tenant."""
    return bool(await tx.fetchval(_IS_INVITED, token_hash(token)))


async def take_invitation(
    tx: Transaction, token: str, password_hash: str, language: str | None
) -> User | None:
    """Give the invited user a password, once; None for a stale token.

    The token that was mailed proves the address as well; the one that was shown to who invites does
    not.
    """
    return await USERS.first(tx, _TAKE_INVITATION, token_hash(token), password_hash, language)


async def renew_invitation(tx: Transaction, agent_id: UUID, invited: Invited) -> bool:
    """Have these tokens invite the agent, and those before nobody; False once accepted."""
    values = (tx.tenant_id, agent_id, *asdict(invited).values())
    return bool(
        await tx.execute(_RENEW_FIRST, *values) or await tx.execute(_RENEW_FURTHER, *values)
    )


async def open_verification(tx: Transaction, user: User, token: str, expires_at: datetime) -> bool:
    """Let the token, and none from before, prove the address of a user who has a password.

    False for everybody else, for who has proved it, and for who has another e-mail by now.
    """
    opened = await tx.execute(
        "UPDATE users SET verification_hash = $3, verification_expires_at = $4"
        " WHERE id = $1 AND email = $2 AND password_hash IS NOT NULL"
        " AND email_verified_at IS NULL",
        user.id,
        user.email,
        token_hash(token),
        expires_at,
    )
    return opened == 1


async def take_verification(tx: Transaction, token: str) -> User | None:
    """Note that the address is its owner's, once, in any tenant; None for a stale token."""
    return await USERS.first(
        tx,
        "UPDATE users SET email_verified_at = now(), verification_hash = NULL,"
        " verification_expires_at = NULL, updated_at = now() WHERE verification_hash = $1"
        " AND verification_expires_at > now() AND password_hash IS NOT NULL RETURNING *",
        token_hash(token),
    )


async def open_reset(tx: Transaction, user: User, token: str, expires_at: datetime) -> bool:
    """Let the token, and none from before, replace the password of a user who has one, and is let
    in to the tenant.

    False for everybody else, and for who has another e-mail by now, after as much work.
    """
    opened = await tx.execute(
        "UPDATE users u SET reset_hash = $3, reset_expires_at = $4 FROM agents a"
        " WHERE u.id = $2 AND u.email = $5 AND u.password_hash IS NOT NULL"
        " AND a.tenant_id = $1 AND a.user_id = $2 AND a.active",
        tx.tenant_id,
        user.id,
        token_hash(token),
        expires_at,
        user.email,
    )
    return opened == 1


async def may_reset(tx: Transaction, token: str) -> bool:
    """Whether the token replaces a password, in any tenant."""
    one = "SELECT true FROM users WHERE reset_hash = $1 AND reset_expires_at > now()"
    return bool(await tx.fetchval(one, token_hash(token)))


async def take_reset(tx: Transaction, token: str, password_hash: str) -> User | None:
    """Replace the password, once; None for a stale token.

    The token came by mail, so the address is proved as well.
    """
    return await USERS.first(
        tx,
        "UPDATE users SET password_hash = $2, reset_hash = NULL, reset_expires_at = NULL,"
        " email_verified_at = coalesce(email_verified_at, now()), updated_at = now()"
        " WHERE reset_hash = $1 AND reset_expires_at > now() RETURNING *",
        token_hash(token),
        password_hash,
    )


async def get_refresh_token(tx: Transaction, token: str) -> RefreshToken | None:
    """The refresh token, in any tenant."""
    one = "SELECT * FROM refresh_tokens WHERE token_hash = $1"
    return await _TOKENS.first(tx, one, token_hash(token))


async def lock_refresh_token(tx: Transaction, token: str) -> RefreshToken | None:
    """The refresh token, in any tenant, locked: of two uses at once one comes second."""
    one = "SELECT * FROM refresh_tokens WHERE token_hash = $1 FOR UPDATE"
    return await _TOKENS.first(tx, one, token_hash(token))


async def mark_used(tx: Transaction, token: str) -> None:
    """Note that the token was exchanged."""
    await tx.execute(
        "UPDATE refresh_tokens SET used_at = now() WHERE token_hash = $1", token_hash(token)
    )


async def revoke_family(tx: Transaction, family_id: UUID) -> bool:
    """End one login; False when it has ended before."""
    revoked = await tx.execute(
        "UPDATE refresh_tokens SET revoked_at = now() WHERE family_id = $1 AND revoked_at IS NULL",
        family_id,
    )
    return revoked > 0


async def end_sessions(tx: Transaction, account_id: UUID) -> None:
    """End every login of a user, in all tenants.

    It is the version that ends them: a token issued at this moment elsewhere has the old one. A
    mail about a forgotten password is worth nothing any more either.
    """
    await tx.execute(
        "UPDATE users SET token_version = token_version + 1, reset_hash = NULL,"
        " reset_expires_at = NULL, updated_at = now() WHERE id = $1",
        account_id,
    )


async def end_sessions_here(tx: Transaction, agent_id: UUID) -> None:
    """End every login to this tenant; one who is of no other is mailed no way in any more."""
    await tx.execute(
        "UPDATE agents SET token_version = token_version + 1 WHERE tenant_id = $1 AND id = $2",
        tx.tenant_id,
        agent_id,
    )
    await tx.execute(
        "UPDATE users SET reset_hash = NULL, reset_expires_at = NULL"
        " WHERE tenant_id = $1 AND id = $2 AND NOT shared",
        tx.tenant_id,
        agent_id,
    )


async def get_user(tx: Transaction, agent_id: UUID) -> User | None:
    """The user an agent of the tenant is; None for who was invited and has not come yet."""
    one = (
        "SELECT u.* FROM agents a JOIN users u ON u.id = a.user_id"
        " WHERE a.tenant_id = $1 AND a.id = $2"
    )
    return await USERS.first(tx, one, tx.tenant_id, agent_id)


async def user_of(tx: Transaction, agent_id: UUID) -> User:
    """The same of somebody who is there; LookupError for nobody."""
    user = await get_user(tx, agent_id)
    if user is None:
        raise LookupError("an agent without a user")
    return user


async def replace_password(tx: Transaction, user: User, password_hash: str) -> bool:
    """Give the user another password, unless it is another already."""
    changed = await tx.execute(
        "UPDATE users SET password_hash = $3, updated_at = now()"
        " WHERE id = $1 AND password_hash = $2",
        user.id,
        user.password_hash,
        password_hash,
    )
    return changed == 1


async def purge_refresh_tokens(tx: Transaction) -> None:
    """Remove what has expired; a used token must stay until then, to be recognised."""
    await tx.execute("DELETE FROM refresh_tokens WHERE expires_at < now()")


async def add_refresh_token(
    tx: Transaction,
    token: str,
    *,
    account_id: UUID,
    family_id: UUID,
    token_version: int,
    expires_at: datetime,
) -> None:
    """Keep a new refresh token."""
    stored = RefreshToken(
        id=uuid7(),
        tenant_id=tx.tenant_id,
        user_id=account_id,
        family_id=family_id,
        token_hash=token_hash(token),
        token_version=token_version,
        expires_at=expires_at,
    )
    await _TOKENS.insert(tx, [stored])


async def add_project(tx: Transaction, name: str) -> None:
    """Create the tenant the transaction acts for."""
    project = Project(id=UUID(tx.tenant_id), tenant_id=tx.tenant_id, name=name)
    await _PROJECTS.insert(tx, [project])


async def get_member(tx: Transaction, agent_id: UUID) -> Member | None:
    """The agent with user and tenant, within the tenant; None for who has not come yet."""
    return await _MEMBER.first(tx, f"{_MEMBERS} a.id = $2", tx.tenant_id, agent_id)


async def find_member(tx: Transaction, account_id: UUID) -> Member | None:
    """The same of a user, who may be of other tenants too."""
    return await _MEMBER.first(tx, f"{_MEMBERS} a.user_id = $2", tx.tenant_id, account_id)

"""Access tokens: signed, short-lived, and read without a look-up.

What its bearer may do is asked of the database (`access/standings.py`); the role in it is for the
code of before, and for whoever looks into a token.
The algorithm is pinned, so a token cannot choose its own; `kid` names the secret, so that a new
secret can sign while the previous one still verifies.
"""

import hashlib
import time
from dataclasses import dataclass
from uuid import UUID, uuid4

import jwt
from pydantic import BaseModel, ConfigDict, ValidationError
from service_kit.errors import UnauthenticatedError
from shared_events.gateway.agent import Role

from crm_gateway.settings import GatewaySettings

_ALGORITHM = "HS256"
_REQUIRED = ["iss", "aud", "exp", "iat", "sub"]


class _Claims(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    user_id: str
    tenant_id: str
    roles: list[str]
    ver: int = 0


@dataclass(frozen=True, slots=True)
class Proof:
    """What a token proves: whose it is, and which version of that user's tokens it is of."""

    tenant_id: str
    user_id: UUID
    version: int


def _key_id(secret: str) -> str:
    return hashlib.sha256(b"jwt-key-id\0" + secret.encode()).hexdigest()[:8]


class AccessTokens:
    """Issues and reads access tokens."""

    def __init__(self, settings: GatewaySettings) -> None:
        secret = settings.jwt_secret.get_secret_value()
        previous = settings.jwt_secret_previous
        accepted = [secret, *([previous.get_secret_value()] if previous else [])]
        self._key_id = _key_id(secret)
        self._secrets = {_key_id(s): s for s in accepted}
        self._issuer, self._audience = settings.jwt_issuer, settings.jwt_audience
        self.ttl = settings.jwt_ttl

    def issue(self, *, user_id: UUID, tenant_id: str, role: Role, version: int = 0) -> str:
        """A token for this person in this tenant, good for `ttl` seconds."""
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "iat": now,
            "exp": now + self.ttl,
            "jti": uuid4().hex,
            "sub": str(user_id),
            "user_id": str(user_id),
            "tenant_id": tenant_id,
            "roles": [role],
            "ver": version,
        }
        secret = self._secrets[self._key_id]
        return jwt.encode(claims, secret, _ALGORITHM, headers={"kid": self._key_id})

    def read(self, token: str) -> Proof:
        """Whom the token speaks for; raises UnauthenticatedError when it proves nothing."""
        try:
            claims = _Claims.model_validate(
                jwt.decode(
                    token,
                    self._secret_of(token),
                    algorithms=[_ALGORITHM],
                    issuer=self._issuer,
                    audience=self._audience,
                    options={"require": _REQUIRED},
                )
            )
            return Proof(str(UUID(claims.tenant_id)), UUID(claims.user_id), claims.ver)
        except jwt.ExpiredSignatureError:
            raise UnauthenticatedError("token_expired", "The access token has expired.") from None
        except (jwt.InvalidTokenError, KeyError, ValidationError, ValueError):
            raise UnauthenticatedError("invalid_token", "The access token is not valid.") from None

    def _secret_of(self, token: str) -> str:
        # Every request comes by here, and to read the header by itself is a third of the work:
        # where no secret is being replaced, there is nothing to choose.
        chosen = self._key_id
        if len(self._secrets) > 1:
            chosen = str(jwt.get_unverified_header(token).get("kid"))
        return self._secrets[chosen]

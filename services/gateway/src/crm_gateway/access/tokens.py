"""Access tokens: signed, short-lived, and read without a look-up.

What its bearer may do is asked of the database (`access/standings.py`); the role in it is for the
code of before, and for whoever looks into a token.
`kid` names the key, and the key has the algorithm, so that a token cannot choose its own: nothing
else in its header is looked at. One key signs; others are believed beside it while keys are turned.
"""

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import jwt
from pydantic import BaseModel, ConfigDict, ValidationError
from service_kit.errors import UnauthenticatedError
from shared_events.gateway.agent import Role

from crm_gateway.access.signing_keys import (
    Key,
    PrivateKey,
    private_key,
    public,
    public_keys,
    shared,
)
from crm_gateway.settings import GatewaySettings

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


class AccessTokens:
    """Issues and reads access tokens."""

    def __init__(self, settings: GatewaySettings) -> None:
        secrets = [each.get_secret_value() for each in settings.jwt_secrets]
        pem = settings.jwt_private_key
        self._signs_with: str | PrivateKey
        believed = [*map(shared, secrets), *public_keys(settings.jwt_public_keys)]
        if pem is not None:
            self._signs_with = private_key(pem.get_secret_value())
            believed.insert(0, public(self._signs_with.public_key()))
        else:
            self._signs_with = secrets[0]
        self._signer = believed[0]
        self._keys = {key.id: key for key in believed}
        self._issuer, self._audience = settings.jwt_issuer, settings.jwt_audience
        self.ttl = settings.jwt_ttl

    @property
    def jwks(self) -> dict[str, Any]:
        """The public keys that are believed, as a JWK Set (RFC 7517, 5): by these others may judge
        our tokens as well."""
        return {"keys": [key.jwk for key in self._keys.values() if key.jwk is not None]}

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
        signer = self._signer
        return jwt.encode(claims, self._signs_with, signer.algorithm, headers={"kid": signer.id})

    def read(self, token: str) -> Proof:
        """Whom the token speaks for; raises UnauthenticatedError when it proves nothing."""
        try:
            key = self._key_of(token)
            decoded = jwt.decode_complete(
                token,
                key.judge,
                algorithms=[key.algorithm],
                issuer=self._issuer,
                audience=self._audience,
                options={"require": _REQUIRED},
            )
            if decoded["header"].get("kid") != key.id:
                raise KeyError("kid")
            claims = _Claims.model_validate(decoded["payload"])
            return Proof(str(UUID(claims.tenant_id)), UUID(claims.user_id), claims.ver)
        except jwt.ExpiredSignatureError:
            raise UnauthenticatedError("token_expired", "The access token has expired.") from None
        except (jwt.InvalidTokenError, KeyError, ValidationError, ValueError):
            raise UnauthenticatedError("invalid_token", "The access token is not valid.") from None

    def _key_of(self, token: str) -> Key:
        # Every request comes by here, and to read the header by itself is a third of the work:
        # where no key is being replaced, there is nothing to choose.
        if len(self._keys) == 1:
            return self._signer
        return self._keys[str(jwt.get_unverified_header(token).get("kid"))]

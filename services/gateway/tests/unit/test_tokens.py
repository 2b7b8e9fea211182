import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from crm_gateway.access.tokens import AccessTokens, Proof
from crm_gateway.settings import GatewaySettings
from pydantic import SecretStr
from service_kit.errors import UnauthenticatedError

USER, TENANT = uuid4(), str(uuid4())
MakeSettings = Callable[..., GatewaySettings]


@pytest.fixture
def settings(make_settings: MakeSettings) -> GatewaySettings:
    return make_settings()


@pytest.fixture
def tokens(settings: GatewaySettings) -> AccessTokens:
    return AccessTokens(settings)


def forge(
    settings: GatewaySettings, *, algorithm: str = "HS256", secret: str = "", **claims: Any
) -> str:
    """A token like ours but for what is given; a claim of None is left out."""
    genuine = AccessTokens(settings).issue(user_id=USER, tenant_id=TENANT, role="admin")
    body = jwt.decode(genuine, options={"verify_signature": False}) | claims
    return jwt.encode(
        {name: value for name, value in body.items() if value is not None},
        secret or settings.jwt_secret.get_secret_value(),
        algorithm,
        headers={"kid": jwt.get_unverified_header(genuine)["kid"]},
    )


class TestRead:
    def test_a_token_speaks_for_its_user_and_tenant(self, tokens: AccessTokens) -> None:
        issued = tokens.issue(user_id=USER, tenant_id=TENANT, role="agent", version=3)
        assert tokens.read(issued) == Proof(TENANT, USER, 3)

    def test_a_token_of_before_there_were_versions_is_of_the_first(
        self, tokens: AccessTokens, settings: GatewaySettings
    ) -> None:
        assert tokens.read(forge(settings, ver=None)).version == 0

    def test_an_untouched_forgery_would_pass(
        self, tokens: AccessTokens, settings: GatewaySettings
    ) -> None:
        assert tokens.read(forge(settings)).user_id == USER

    @pytest.mark.parametrize(
        "change",
        [
            {"iss": "somebody-else"},
            {"aud": "another-api"},
            {"sub": None},
            {"exp": None},
            {"iat": None},
            {"iss": None},
            {"aud": None},
            {"user_id": None},
            {"tenant_id": "not-a-uuid"},
            {"roles": "admin"},
            {"ver": "0"},
            {"exp": int(time.time()) - 1},
            {"exp": "never"},
            {"nbf": int(time.time()) + 3600},
            {"iat": int(time.time()) + 3600},
            {"aud": ["another-api"]},
            {"aud": ""},
            {"secret": "another-secret-0123456789-0123456789"},
            {"algorithm": "HS512", "secret": "x" * 64},
        ],
    )
    def test_whatever_is_wrong_is_refused(
        self, tokens: AccessTokens, settings: GatewaySettings, change: dict[str, Any]
    ) -> None:
        with pytest.raises(UnauthenticatedError):
            tokens.read(forge(settings, **change))

    def test_the_algorithm_is_ours_to_choose(
        self, tokens: AccessTokens, settings: GatewaySettings
    ) -> None:
        secret = settings.jwt_secret.get_secret_value().ljust(64, "x")
        longer = settings.model_copy(update={"jwt_secret": SecretStr(secret)})
        with pytest.raises(UnauthenticatedError):
            AccessTokens(longer).read(forge(longer, algorithm="HS512"))
        unsigned = jwt.encode({"sub": str(UUID(int=1))}, "", algorithm="none")
        with pytest.raises(UnauthenticatedError):
            tokens.read(unsigned)

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é"])
    def test_nonsense_is_refused(self, tokens: AccessTokens, token: str) -> None:
        with pytest.raises(UnauthenticatedError):
            tokens.read(token)

    def test_the_previous_secret_still_verifies_and_no_longer_signs(
        self, tokens: AccessTokens, settings: GatewaySettings
    ) -> None:
        old = tokens.issue(user_id=USER, tenant_id=TENANT, role="admin")
        rotated = settings.model_copy(
            update={
                "jwt_secret": SecretStr("the-next-jwt-secret-0123456789-0123456789"),
                "jwt_secret_previous": settings.jwt_secret,
            }
        )
        assert AccessTokens(rotated).read(old).user_id == USER
        new = AccessTokens(rotated).issue(user_id=USER, tenant_id=TENANT, role="admin")
        with pytest.raises(UnauthenticatedError):
            tokens.read(new)

"""What every test of the gateway may ask for."""

from collections.abc import Callable
from typing import Any

import pytest
from crm_gateway.settings import GatewaySettings
from pydantic import SecretStr

SECRETS = {
    "jwt_secret": SecretStr("jwt-secret-of-this-test-run-0123456789"),
    "ingress_master_key": SecretStr("ingress-key-of-this-test-run-0123456789"),
}


@pytest.fixture(scope="session")
def make_settings() -> Callable[..., GatewaySettings]:
    """Settings for a test: `make_settings(jwt_ttl=60)`. They register all day, from one address."""

    def make(**overrides: Any) -> GatewaySettings:
        return GatewaySettings.model_validate(
            {"crm_env": "test", "registrations_per_address": 100_000, **SECRETS, **overrides}
        )

    return make

from collections.abc import Callable

import pytest
from crm_gateway.app import create_service
from crm_gateway.settings import GatewaySettings
from pydantic import SecretStr
from service_kit.settings import ConfigurationError


class TestSecrets:
    def test_production_names_every_missing_or_short_secret(self) -> None:
        settings = GatewaySettings(jwt_secret=SecretStr("short"))
        problems = "\n".join(settings.problems())
        assert "JWT_SECRET" in problems
        assert "INGRESS_MASTER_KEY" in problems
        assert "short" not in problems

    @pytest.mark.parametrize("name", ["jwt_secret", "ingress_master_key"])
    def test_without_a_secret_nothing_starts_anywhere(
        self, make_settings: Callable[..., GatewaySettings], name: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=f"{name.upper()} is missing"):
            create_service(make_settings(**{name: SecretStr("")}))

from collections.abc import Callable

import pytest
from crm_gateway.app import create_service
from crm_gateway.rest.routes import ROUTES
from crm_gateway.rest.table import Row, check
from crm_gateway.settings import GatewaySettings
from service_kit.settings import ConfigurationError
from shared_events.contacts.contact import ListContacts
from shared_events.registry import BY_KEY


class TestCheck:
    @pytest.mark.parametrize("permission", ["", "contacts.fly", "*"])
    def test_a_route_without_a_known_permission_does_not_start(
        self, permission: str, make_settings: Callable[..., GatewaySettings]
    ) -> None:
        row = Row("GET", "/anything", permission, ListContacts)
        with pytest.raises(ConfigurationError, match="GET /anything declares no known permission"):
            create_service(make_settings(), [*ROUTES, row])

    def test_a_route_declared_twice_does_not_start(self) -> None:
        with pytest.raises(ConfigurationError, match="declared twice"):
            check([*ROUTES, ROUTES[0]])

    def test_the_routes_we_serve_are_fit(self) -> None:
        check(ROUTES)


class TestRoutes:
    def test_every_request_of_the_bus_has_a_route(self) -> None:
        assert BY_KEY.keys() <= {row.request.key for row in ROUTES}

    def test_paths_name_the_path_fields_of_their_requests(self) -> None:
        for row in ROUTES:
            named = {part[1:-1] for part in row.path.split("/") if part.startswith("{")}
            assert named == set(row.parameters), row.path
            assert named | row.fixed.keys() <= row.request.model_fields.keys(), row.path

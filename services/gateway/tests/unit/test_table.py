from collections.abc import Callable
from typing import Any

import pytest
from crm_gateway.agents.schemas import ListAgents
from crm_gateway.app import create_service
from crm_gateway.auth.schemas import Login
from crm_gateway.journeys.service import LEGS
from crm_gateway.rest.routes import ROUTES
from crm_gateway.rest.selection import RELATIONS
from crm_gateway.rest.table import PUBLIC, Row, check
from crm_gateway.settings import GatewaySettings
from service_kit.settings import ConfigurationError
from shared_events.channels.presence import ShowTyping
from shared_events.contacts.contact import ListContacts
from shared_events.messaging.conversation import GetChat
from shared_events.registry import BY_KEY
from shared_events.requests import Nothing, Query, Request
from shared_events.webhooks.subject_export import ListSubjectDeliveries


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

    def test_a_key_of_nobody_does_not_start(self) -> None:
        row = Row("POST", "/anything", PUBLIC, Login, keyed_by="token")
        with pytest.raises(ConfigurationError, match="POST /anything has no field 'token'"):
            check([row])

    def test_the_routes_we_serve_are_fit(self) -> None:
        check(ROUTES)


class Unheard(Query[Nothing], key="gateway.nobody.answers"):
    """A request that no feature answers."""


class TestOwn:
    @pytest.mark.parametrize(
        ("permission", "request_class"),
        [("agents.read", Unheard), (PUBLIC, Unheard), (PUBLIC, ListAgents), ("agents.read", Login)],
    )
    def test_a_route_that_nobody_answers_does_not_start(
        self,
        permission: str,
        request_class: type[Request[Any]],
        make_settings: Callable[..., GatewaySettings],
    ) -> None:
        row = Row("POST", "/nobody", permission, request_class)
        with pytest.raises(ConfigurationError, match="POST /nobody: nobody answers gateway"):
            create_service(make_settings(), [*ROUTES, row])


class TestRoutes:
    def test_every_request_of_the_bus_has_a_route(self) -> None:
        pieces = {row.pieces.key for row in ROUTES if row.pieces is not None}
        legs = {request.key for request in LEGS.values()}
        typing = {GetChat.key, ShowTyping.key}
        relations = {relation.request.key for relation in RELATIONS.values()}
        asked_beside = {*pieces, *legs, *typing, *relations, ListSubjectDeliveries.key}
        assert BY_KEY.keys() <= {row.request.key for row in ROUTES} | asked_beside

    def test_paths_name_the_path_fields_of_their_requests(self) -> None:
        for row in ROUTES:
            named = {part[1:-1] for part in row.path.split("/") if part.startswith("{")}
            assert named == set(row.parameters), row.path
            assert named | row.fixed.keys() <= row.request.model_fields.keys(), row.path

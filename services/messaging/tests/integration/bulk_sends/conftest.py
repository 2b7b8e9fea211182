"""Two companies on one service, and somebody who works on their bulk sends."""

import pytest
from crm_messaging.bulk_sends.runner import Runner
from crm_testing.scenes.messaging import Scene
from crm_testing.services import Company, Outside
from service_kit.service import Service


@pytest.fixture
def scene(service: Service) -> Scene:
    return Scene(service.database)


@pytest.fixture
def other(service: Service) -> Scene:
    """Another company."""
    return Scene(service.database)


@pytest.fixture
def stranger(other: Scene, outside: Outside) -> Company:
    return Company(other.database, outside, id=other.tenant_id)


@pytest.fixture
def runner(service: Service) -> Runner:
    return Runner(service.database)

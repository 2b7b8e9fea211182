"""Where there is no Temporal, nobody pays for it."""

import subprocess
import sys

import pytest
from crm_dev import stack
from shared_events.services import SERVICES, ServiceName

SCRIPT = """
import sys
from importlib import import_module
from typing import get_type_hints
from service_kit.settings import load

create = import_module("{package}.app").create_service
service = create(load(get_type_hints(create)["settings"]))
print("temporalio" in sys.modules, service.temporal is not None)
"""


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
@pytest.mark.parametrize("address", ["", "localhost:7233"], ids=["without", "with"])
def test_its_packages_are_imported_by_those_who_have_a_server(
    service: ServiceName, address: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pieces = {p.name: p for p in stack.declare(tmp_path_factory.mktemp("stack"), {}).pieces}
    composed = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(package=service.package)],
        env={**pieces[service.name].environment, "TEMPORAL_ADDRESS": address},
        capture_output=True,
        text=True,
    )
    assert composed.stdout.split() == [str(bool(address))] * 2, composed.stderr

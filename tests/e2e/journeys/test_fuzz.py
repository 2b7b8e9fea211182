"""What the REST API makes of requests that nobody would write, by schemathesis."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from crm_fakes.waha import WahaSimulator

from e2e.crm import PASSWORD, Tenant
from e2e.journeys.test_outbound import conversation
from e2e.stack import Platform

SETTINGS = Path(__file__).parents[1] / "schemathesis.toml"
BOUNDED = ("--phases", "examples,fuzzing", "--max-examples", "3")
AT_LENGTH = ("--max-examples", "100")


class TestDocument:
    @pytest.mark.timeout(14_400)
    async def test_holds_for_whatever_is_asked(
        self, platform: Platform, tenant: Tenant, waha: WahaSimulator, tmp_path: Path
    ) -> None:
        await conversation(tenant, waha)
        colleague = await tenant.post(
            "/agents", {"name": "Bia", "email": f"bia-{tenant.email}", "role": "agent"}
        )
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("st"),
            *("--config-file", SETTINGS, "--no-color"),
            *("run", f"{platform.gateway_url}/openapi.json"),
            *(AT_LENGTH if "FUZZ" in os.environ else BOUNDED),
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(SETTINGS.parents[1]),
                "SCHEMATHESIS_HOOKS": "e2e.schemathesis_checks",
                "CRM_EMAIL": tenant.email,
                "CRM_PASSWORD": PASSWORD,
                "CRM_COLLEAGUE": colleague["id"],
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()

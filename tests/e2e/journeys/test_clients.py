"""The typed clients, made from the document the platform serves, each in a journey of its own."""

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from crm_fakes.waha import WahaSimulator
from shared_events import examples

from e2e.crm import Json, Tenant
from e2e.journeys.test_outbound import conversation, status_reached

CLIENTS = Path(__file__).parents[3] / "clients"
COMMANDS = Path(sys.executable).parent  # Node.js and its commands are installed there, too

# A program of a customer's: what it is told comes in by the environment, what it sent goes out.
PYTHON = """
import os
from uuid import UUID
from ventros_crm import AuthenticatedClient
from ventros_crm.api.contacts import contacts_contact_get, contacts_contact_list
from ventros_crm.api.messages import messaging_message_send
from ventros_crm.models import ProblemDocument, SendMessage

with AuthenticatedClient(os.environ["URL"], os.environ["KEY"], "", "X-Api-Key") as crm:
    [found] = contacts_contact_list.sync(client=crm, search="joao").data
    assert (found.name, found.identities[0].kind) == ("João", "phone"), found
    missing = contacts_contact_get.sync(UUID(int=7), client=crm)
    assert isinstance(missing, ProblemDocument) and missing.code == "contact_not_found"
    body = SendMessage(contact_id=found.id, channel_id=UUID(os.environ["CHANNEL"]), content="Oi!")
    print(messaging_message_send.sync(client=crm, body=body).id)
"""
TYPESCRIPT = """
import { crm } from "./index.js";

declare const process: { env: Record<string, string> };
const { URL, KEY, CHANNEL } = process.env;
const api = crm(URL, KEY);
const list = await api.GET("/api/v1/contacts", { params: { query: { search: "joao" } } });
const contact = list.data!.data[0];
if (contact.name !== "João") throw new Error(JSON.stringify(list));
const nobody = { contact_id: "00000000-0000-0000-0000-000000000007" };
const missing = await api.GET("/api/v1/contacts/{contact_id}", { params: { path: nobody } });
if (missing.error?.code !== "contact_not_found") throw new Error(JSON.stringify(missing));
const body = { contact_id: contact.id, channel_id: CHANNEL, content: "Oi!" };
const sent = await api.POST("/api/v1/messages/send", { body });
console.log(sent.data!.id);
"""


async def said(command: str, *arguments: str | Path, folder: Path, **environment: str) -> str:
    """What a command of the environment says that ends well."""
    process = await asyncio.create_subprocess_exec(
        COMMANDS / command,
        *arguments,
        cwd=folder,
        env={**os.environ, "PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.fixture
async def told(tenant: Tenant, waha: WahaSimulator) -> AsyncIterator[Json]:
    """What a customer's program is told: the address, a key, and the channel João wrote on."""
    channel, _ = await conversation(tenant, waha)
    key = (await tenant.post("/api-keys", {"name": "Programa"}))["key"]
    url = f"{tenant.http.base_url.scheme}://{tenant.http.base_url.netloc.decode()}"
    yield {"URL": url, "KEY": key, "CHANNEL": channel.id}


class TestPython:
    async def test_finds_who_wrote_and_answers(
        self, tenant: Tenant, told: Json, tmp_path: Path
    ) -> None:
        await said(
            "openapi-python-client",
            *("generate", "--url", f"{told['URL']}/openapi.json", "--meta", "none"),
            *("--config", CLIENTS / "python" / "generator.yml", "--fail-on-warning"),
            folder=tmp_path,
        )
        (tmp_path / "program.py").write_text(PYTHON)
        message = await said("python", "-W", "error", "program.py", folder=tmp_path, **told)
        await status_reached(tenant, message.strip(), "delivered")


class TestTypeScript:
    @pytest.mark.timeout(900)  # npm fetches, and compilers take their time
    async def test_finds_who_wrote_and_answers(
        self, tenant: Tenant, told: Json, tmp_path: Path
    ) -> None:
        folder = tmp_path / "client"
        shutil.copytree(
            CLIENTS / "typescript", folder, ignore=shutil.ignore_patterns("node_modules")
        )
        (folder / "program.ts").write_text(TYPESCRIPT)
        await said("npm", "ci", "--silent", folder=folder)
        # The program is compiled with it: a field that is not there fails here.
        document = {"OPENAPI": f"{told['URL']}/openapi.json"}
        await said("npm", "run", "--silent", "build", folder=folder, **document)
        message = await said("node", "program.js", folder=folder, **told)
        await status_reached(tenant, message.strip(), "delivered")


class TestCollection:
    @pytest.mark.timeout(900)  # npm fetches
    async def test_asks_every_operation_with_its_example(self, tmp_path: Path) -> None:
        document = json.loads((CLIENTS.parent / "docs" / "openapi.json").read_text())
        folder, file = tmp_path / "postman", tmp_path / "collection.json"
        ignored = shutil.ignore_patterns("node_modules")
        shutil.copytree(CLIENTS / "postman", folder, ignore=ignored)
        await said("npm", "ci", "--silent", folder=folder)
        made = {"OPENAPI": str(CLIENTS.parent / "docs/openapi.json"), "COLLECTION": str(file)}
        await said("npm", "run", "--silent", "build", folder=folder, **made)
        asked = {
            (
                request["method"],
                re.sub(r"/:(\w+)", r"/{\1}", "/" + "/".join(request["url"]["path"])),
            ): request
            for request in requests(json.loads(file.read_text()))
        }
        assert asked.keys() == {
            (method.upper(), path)
            for path, methods in document["paths"].items()
            for method in methods
        }
        created = json.loads(asked["POST", "/api/v1/contacts"]["body"]["raw"])
        assert created == examples.load_request("contacts.contact.create")


def requests(folder: Json) -> Iterator[Json]:
    """The requests of a collection, or of a folder of one."""
    for item in folder["item"]:
        if "item" in item:
            yield from requests(item)
        else:
            yield item["request"]

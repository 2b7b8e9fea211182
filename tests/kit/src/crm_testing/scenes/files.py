"""What the tests of imports and exports share: files that go in, and what comes out."""

import hashlib
import io
from base64 import b64encode
from typing import Any
from uuid import UUID, uuid4

from openpyxl import Workbook
from service_kit.errors import DeadlineError, UnavailableError
from shared_events.contacts.contact_export import CreateExport, GetExport, ReadExport
from shared_events.contacts.contact_import import (
    PART_BYTES,
    CreateImport,
    GetImport,
    PutImportPart,
    ReadImportErrors,
)
from shared_events.requests import Principal, Query, Reply, Request

from crm_testing.scenes.contacts import Shop
from crm_testing.services import eventually

ENDED = ("completed", "cancelled", "failed")


async def bring(company: Shop, content: bytes, part_bytes: int = PART_BYTES) -> UUID:
    """Bring a file in pieces, as the gateway does; returns the id of the import to come."""
    import_id = uuid4()
    for position, start in enumerate(range(0, len(content), part_bytes)):
        piece = b64encode(content[start : start + part_bytes]).decode()
        await company.value(PutImportPart(import_id=import_id, position=position, content=piece))
    return import_id


def creation(import_id: UUID, content: bytes, **options: Any) -> CreateImport:
    """The request that follows a file."""
    digest = hashlib.sha256(content).hexdigest()
    given = {"import_id": import_id, "size": len(content), "sha256": digest, **options}
    return CreateImport.model_validate(given)


async def begin(company: Shop, content: bytes | str, **options: Any) -> UUID:
    """Begin to import a file."""
    raw = content if isinstance(content, bytes) else content.encode()
    import_id = await bring(company, raw)
    await company.value(creation(import_id, raw, **options))
    return import_id


async def ended(company: Shop, request: Query[Any], seconds: float = 30.0) -> dict[str, Any]:
    """The job this asks for, once it has ended."""

    (job_id,) = request.model_dump().values()

    async def look() -> bool:
        (job,) = await company.rows("SELECT state FROM jobs WHERE id = $1", job_id)
        return job["state"] in ENDED

    await eventually(look, seconds=seconds)

    async def ask() -> dict[str, Any] | None:
        try:
            return await company.value(request)
        except (DeadlineError, UnavailableError):  # thousands of events are on the bus
            return None

    job: dict[str, Any] = await eventually(ask)
    return job


async def imported(company: Shop, content: bytes | str, **options: Any) -> dict[str, Any]:
    """Import a file; what became of it."""
    return await ended(company, GetImport(import_id=await begin(company, content, **options)))


async def errors_of(company: Shop, import_id: UUID | str) -> list[str]:
    """What was wrong with rows, line by line."""
    text, cursor = "", 0
    while cursor is not None:
        request = ReadImportErrors(import_id=UUID(str(import_id)), cursor=cursor)
        part = await company.value(request)
        text, cursor = text + part["content"], part["next_cursor"]
    return text.splitlines()


async def asked(company: Shop, request: Request[Any], *permissions: str) -> Reply:
    """What somebody with these permissions is answered."""
    return await company.outside.client.call(
        request,
        principal=Principal(tenant_id=company.id, permissions=permissions),
        correlation_id=f"req-{uuid4()}",
    )


async def exported(company: Shop, *permissions: str, **options: Any) -> tuple[dict[str, Any], str]:
    """Export contacts, as somebody with these permissions; what became of it, and the file."""
    begun = (await asked(company, CreateExport.model_validate(options), *permissions)).value
    assert begun is not None
    job = await ended(company, GetExport(export_id=begun["id"]))
    text, cursor = "", 0 if job["state"] == "completed" else None
    while cursor is not None:
        request = ReadExport(export_id=begun["id"], cursor=cursor)
        part = (await asked(company, request, *permissions)).value
        assert part is not None
        text, cursor = text + part["content"], part["next_cursor"]
    return job, text


def workbook(*rows: list[Any]) -> bytes:
    """An XLSX file of these rows."""
    book = Workbook()
    assert book.active is not None
    for row in rows:
        book.active.append(row)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()

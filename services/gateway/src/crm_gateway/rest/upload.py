"""The route of imports: its file goes to contacts in pieces, then the request is made of it."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4, uuid5

import orjson
from pydantic import ValidationError
from service_kit import tracing
from service_kit.errors import InvalidError, MalformedError, field_errors
from shared_events.contacts.contact_import import (
    MAX_FILE_BYTES,
    PART_BYTES,
    CreateImport,
    PutImportPart,
)
from shared_events.requests import Principal
from starlette.requests import Request
from starlette.responses import Response

from crm_gateway.access.callers import address_of
from crm_gateway.body import Room
from crm_gateway.problems.edge import request_id, trace_context
from crm_gateway.problems.errors import of_problem
from crm_gateway.rest.endpoint import Backing, Endpoint, refused
from crm_gateway.rest.headers import expected_version, idempotency_key
from crm_gateway.rest.multipart import MEDIA_TYPE, FormReader
from crm_gateway.rest.own import OwnCall
from crm_gateway.rest.strictness import check_query
from crm_gateway.rest.table import Row

_NAMESPACE = UUID("7d3c1f0e-52ab-5c7d-9e64-1b0f8a6c2d91")
_OF_FILE = ("import_id", "size", "sha256", "filename")
"""What is known of a file once it was read; nobody says it of theirs."""


class ImportEndpoint(Endpoint):
    """Answers a route that takes a form with a file."""

    def __init__(self, row: Row, backing: Backing) -> None:
        super().__init__(row, backing)
        # The form is read by us: as it comes, which FastAPI would not.
        signature = self.__signature__
        kept = [each for each in signature.parameters.values() if each.name != "given"]
        self.__signature__ = signature.replace(parameters=kept)

    async def admit(self, http: Request, room: Room) -> Request:
        """The request, once everything that comes before its form is in order."""
        del room  # a form has bounds of its own
        http.state.principal = await self.authorise(http)
        check_query(http.query_params, {})
        return http

    async def __call__(self, http: Request, **values: Any) -> Response:
        """Bring the file, make the request of it, and answer.

        With an Idempotency-Key both have the id that follows from it: what is sent again is the
        same import, unless another file is sent, which is refused as another body would be.
        """
        trace = tracing.following(trace_context(http.headers))
        key = idempotency_key(values.get("idempotency_key"))
        version = expected_version(values.get("if_match"))
        call = OwnCall(values["principal"], request_id(http.scope), version, address_of(http))
        import_id = _id_of(call.principal, key)
        reader = FormReader(http, file_bytes=MAX_FILE_BYTES, piece_bytes=PART_BYTES)
        digest, size, position = hashlib.sha256(), 0, 0
        async for piece in reader.pieces():
            digest.update(piece)
            content = b64encode(piece).decode()
            part = PutImportPart(import_id=import_id, position=position, content=content)
            reply = await self.backing.bus.call(
                part, principal=call.principal, correlation_id=call.correlation_id, trace=trace
            )
            if reply.problem is not None:
                raise of_problem(reply.problem)
            size, position = size + len(piece), position + 1
        if reader.form.filename is None:
            raise InvalidError.field("file", "missing", "Send a file in the field `file`.")
        request = _request(
            reader.form.fields,
            {
                "import_id": import_id,
                "size": size,
                "sha256": digest.hexdigest(),
                "filename": reader.form.filename,
            },
        )
        reply = await self._ask(request, call, key, trace)
        if reply.problem is not None:
            raise refused(reply.problem, replayed=reply.replayed)
        return self._answer(reply, http, call.principal)


def _id_of(principal: Principal, key: str | None) -> UUID:
    if key is None:
        return uuid4()
    caller = principal.user_id or principal.api_key_id
    return uuid5(_NAMESPACE, f"{principal.tenant_id}/{caller}/{key}")


def _request(fields: Mapping[str, str], of_file: Mapping[str, Any]) -> CreateImport:
    """The request these fields make; raises InvalidError and MalformedError."""
    given: dict[str, Any] = dict(fields)
    for name, value in fields.items():
        if name in _OF_FILE:
            raise InvalidError.field([name], "extra_forbidden", "Not a field of this.")
        if "\0" in value or "\0" in name:
            raise InvalidError.field([name], "nul_character", "A text cannot hold NUL.")
    if "mapping" in given:
        try:
            given["mapping"] = orjson.loads(given["mapping"])
        except orjson.JSONDecodeError:
            raise MalformedError("invalid_json", "The mapping is not valid JSON.") from None
    try:
        return CreateImport.model_validate({**given, **of_file})
    except ValidationError as error:
        raise InvalidError(
            "validation_failed", "The request has invalid fields.", errors=field_errors(error)
        ) from None


def described(row: Row) -> dict[str, Any]:
    """The form, for OpenAPI."""
    schema = row.request.model_json_schema()
    fields = {name: each for name, each in schema["properties"].items() if name not in _OF_FILE}
    fields["mapping"] = {
        "type": "string",
        "contentMediaType": "application/json",
        "description": "Target of each column, as a JSON object: `name`, `phone`, `email`,"
        " `tags`, `language`, `timezone`, `custom_fields.<key>`, or null for none. Without it"
        " the headers say it.",
        "examples": ['{"Nome": "name", "Telefone": "phone", "CPF": "custom_fields.cpf"}'],
    }
    file = {"type": "string", "format": "binary", "description": "CSV or XLSX, 50 MB at most."}
    form = {"type": "object", "required": ["file"], "properties": {"file": file, **fields}}
    return {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": form}}}}

"""`erase`: forget a person where no admin of the company can say so.

Such as after a backup is restored that knows who was erased since (docs/operations.md). It asks
contacts as the routes do, is bound by a legal hold as they are, and leaves an entry in the
company's audit log.
"""

import asyncio
from argparse import ArgumentParser, Namespace
from typing import cast
from uuid import UUID, uuid4

from service_kit.errors import UnavailableError
from service_kit.operating.command import Command, Operated, Report, report
from service_kit.request_client import RequestClient
from service_kit.service import Service
from shared_events.contacts.erasure import ApproveErasure, GetErasure, RequestErasure
from shared_events.requests import Principal, Reply

from crm_gateway.audit.repository import record
from crm_gateway.rest.own import OwnCall

OPERATOR = UUID(int=0)
"""Who asked and approved, in the certificate and in the audit log: nobody of the company."""
_FROM = "command line"


def _takes(parser: ArgumentParser) -> None:
    parser.add_argument("tenant", type=UUID, help="the company")
    parser.add_argument("contact", type=UUID, help="who is to be forgotten, for good")


def _erase(operated: Operated, asked: Namespace) -> Report:
    return asyncio.run(_forget(operated.service(), str(asked.tenant), asked.contact))


async def _forget(service: Service, tenant_id: str, contact_id: UUID) -> Report:
    """The erasure as it begins; what contacts refuses is told instead, and is not well."""
    settings = service.settings
    principal = Principal(tenant_id=tenant_id, user_id=OPERATOR, sole_admin=True)
    call = OwnCall(principal, f"erase-{uuid4()}", address=_FROM)
    bus = RequestClient(settings.amqp_url, settings.signatures)

    async def ask(request: RequestErasure | ApproveErasure | GetErasure) -> Reply:
        return await bus.call(request, principal=principal, correlation_id=call.correlation_id)

    await service.database.connect()
    await bus.start()
    try:
        reply = await ask(RequestErasure(contact_id=contact_id))
        problem = reply.problem
        if problem is not None and problem.code != "erasure_exists":
            return report([problem.model_dump(mode="json", exclude_none=True)], ok=False)
        known = reply.value["id"] if reply.value else (problem and problem.extra["existing_id"])
        erasure_id = UUID(cast(str, known))
        async with service.database.tenant(tenant_id) as tx:
            await record(tx, call, "erasure.approve", erasure_id)
        reply = await ask(ApproveErasure(erasure_id=erasure_id))
    except UnavailableError as error:
        return report([error.problem.model_dump(mode="json", exclude_none=True)], ok=False)
    finally:
        await bus.stop()
        await service.database.close()
        await service.release()
    if reply.problem is not None:
        return report([reply.problem.model_dump(mode="json", exclude_none=True)], ok=False)
    return report([reply.value])


ERASE = Command(
    ("erase",),
    "forget a person in every service, where no admin of the company can",
    _erase,
    _takes,
)

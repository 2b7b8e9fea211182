"""The requests about recoveries (`shared_events.webhooks.recovery`)."""

from collections.abc import Callable
from datetime import datetime

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError, InvalidError
from shared_events.webhooks.recovery import GetRecovery, Recover, Recovery, Replay

from crm_webhooks.endpoints.repository import EndpointRepository
from crm_webhooks.recoveries import models, repository


class RecoveryRequests:
    """Answers them, each in the caller's transaction. `wake` is called when one begins."""

    def __init__(self, endpoints: EndpointRepository, wake: Callable[[], None]) -> None:
        self._endpoints = endpoints
        self._wake = wake

    async def start(self, tx: Transaction, request: Recover, call: Call) -> Recovery:
        """Begin one; raises ConflictError while the endpoint has one that is not done."""
        return await self._begin(tx, request, call, None)

    async def replay(self, tx: Transaction, request: Replay, call: Call) -> Recovery:
        """Begin a replay; raises as `start` does, and InvalidError for an empty range."""
        if request.until <= request.since:
            raise InvalidError.field("until", "before_since", "The range ends before it begins.")
        return await self._begin(tx, request, call, request.until)

    async def _begin(
        self, tx: Transaction, request: Recover | Replay, call: Call, until: datetime | None
    ) -> Recovery:
        await self._endpoints.lock(tx, request.endpoint_id, call.expected_version)
        if await repository.is_running(tx, request.endpoint_id):
            raise ConflictError("recovery_running", "The endpoint is being recovered already.")
        begun = await repository.add(tx, request.endpoint_id, request.since, until)
        tx.after_commit(self._wake)
        return _recovery(begun)

    async def get(self, tx: Transaction, request: GetRecovery, call: Call) -> Recovery:
        """How far one is; raises NotFoundError."""
        del call
        return _recovery(await repository.get(tx, request.recovery_id))


def _recovery(row: models.Recovery) -> Recovery:
    shown = row.model_copy(update={"state": "done" if row.state == "done" else "running"})
    return Recovery.model_validate(shown, from_attributes=True)

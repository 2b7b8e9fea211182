"""`SessionLifecycleWorkflow`: ends a session after silence.

No signal per message: the database holds the deadline. The workflow sleeps until it, then one
activity ends the session only if no message came since, or answers with how it stands now.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from crm_messaging.sessions.schemas import (
        CANCELLED,
        CLOSE_SESSION_IF_IDLE,
        CLOSED,
        INACTIVITY,
        Ending,
        Outcome,
        Watch,
    )

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))
_LEAST_WAIT = timedelta(seconds=1)
"""Between two looks, should the clocks of database and workflow disagree."""


@workflow.defn(name="SessionLifecycleWorkflow")
class SessionLifecycleWorkflow:
    """Watches one session from its first message to its end."""

    @workflow.init
    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._reason: str | None = None

    @workflow.run
    async def run(self, watch: Watch) -> str:
        """Return the reason given to the close, or `ended` when somebody else ended it."""
        del watch  # taken by __init__, so that a signal before the first task finds it
        try:
            return await self._until_ended()
        except Exception as error:
            if is_cancelled_exception(error):
                await self._close(CANCELLED)
            raise
        except asyncio.CancelledError:
            await self._close(CANCELLED)
            raise

    async def _until_ended(self) -> str:
        least = timedelta()
        while True:
            await self._sleep(max(self._deadline() - workflow.now(), least))
            reason = self._reason or INACTIVITY
            seen = self._watch.total_messages if self._reason is None else None
            outcome = await self._close(reason, seen)
            if outcome.ended or outcome.active is None:
                return reason if outcome.ended else "ended"
            self._watch, least = outcome.active, _LEAST_WAIT
            if workflow.info().is_continue_as_new_suggested() and self._reason is None:
                workflow.continue_as_new(self._watch)

    async def _sleep(self, remaining: timedelta) -> None:
        if remaining <= timedelta() or self._reason is not None:
            return
        try:
            await workflow.wait_condition(lambda: self._reason is not None, timeout=remaining)
        except TimeoutError:
            return

    async def _close(self, reason: str, seen: int | None = None) -> Outcome:
        outcome: Outcome = await workflow.execute_activity(
            CLOSE_SESSION_IF_IDLE,
            Ending(
                session_id=self._watch.session_id,
                tenant_id=self._watch.tenant_id,
                reason=reason,
                seen=seen,
            ),
            result_type=Outcome,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=_RETRY,
        )
        return outcome

    def _deadline(self) -> datetime:
        return self._watch.last_interaction_at + timedelta(seconds=self._watch.timeout_seconds)

    @workflow.signal
    def close_session(self, reason: Any = CLOSED) -> None:
        """End the session now, for a reason: a text, or `{"reason": text}`. The first stands."""
        if isinstance(reason, dict):
            reason = reason.get("reason", reason.get("Reason"))
        given = reason.strip() if isinstance(reason, str) else ""
        self._reason = self._reason or given or CLOSED

    @workflow.signal
    def new_message(self) -> None:
        """Accepted and not needed: the database knows of every message."""

    @workflow.query
    def deadline(self) -> datetime:
        """When the session will be looked at next."""
        return self._deadline()

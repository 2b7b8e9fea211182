"""How a company works: one row of settings, its own."""

from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError, PreconditionFailedError
from service_kit.rows import Shape
from shared_events.gateway.company import CompanySettings, SettingsUpdated

from crm_gateway.access.standings import Standings
from crm_gateway.audit.repository import record
from crm_gateway.company.schemas import GetSettings, UpdateSettings
from crm_gateway.rest.own import OwnCall, OwnRequests
from crm_gateway.two_factor.repository import is_enabled

_SETTINGS = Shape(CompanySettings)
_SHOWN = """
agents_see, auto_assignment, sessions_per_agent, opt_out_words, opt_in_words,
require_two_factor, event_retention_days, settings_version AS version, updated_at
"""
_FIND = f"SELECT {_SHOWN} FROM projects WHERE tenant_id = $1"  # noqa: S608 - our own text
_SAVE = f"""
UPDATE projects SET agents_see = $2, auto_assignment = $3, sessions_per_agent = $4,
    opt_out_words = $5, opt_in_words = $6, require_two_factor = $7, event_retention_days = $8,
    settings_version = settings_version + 1, updated_at = now()
WHERE tenant_id = $1
RETURNING {_SHOWN}
"""  # noqa: S608 - our own text


class Company:
    """Answers the settings routes, each in the transaction of its tenant."""

    def __init__(self, standings: Standings) -> None:
        self._standings = standings

    def add_to(self, own: OwnRequests) -> None:
        """What is asked about settings."""
        own.answer(GetSettings, self.get)
        own.answer(UpdateSettings, self.update)

    async def get(self, tx: Transaction, request: GetSettings, call: Call) -> CompanySettings:
        """The company's settings."""
        del request, call
        return await _read(tx)

    async def update(
        self, tx: Transaction, request: UpdateSettings, call: OwnCall
    ) -> CompanySettings:
        """Change settings; PreconditionFailedError for another version than the caller expects.

        Raises ConflictError for who wants of others a second factor they have not themselves, and
        ForbiddenError for an API key that does.
        What they mean for its people holds in every gateway with the commit; the rest is told.
        """
        before = await _read(tx, lock=True)
        PreconditionFailedError.check(call.expected_version, before.version)
        given = request.model_dump(exclude_none=True)
        if "event_retention_days" in request.model_fields_set:
            given["event_retention_days"] = request.event_retention_days  # null too
        changed = before.model_copy(update=given)
        if changed == before:
            return before
        turned_on = changed.require_two_factor and not before.require_two_factor
        if turned_on and not await is_enabled(tx, call.person()):
            raise ConflictError("two_factor_not_enabled", "Set your own second factor up first.")
        saved = await _SETTINGS.first(
            tx,
            _SAVE,
            tx.tenant_id,
            changed.agents_see,
            changed.auto_assignment,
            changed.sessions_per_agent,
            changed.opt_out_words,
            changed.opt_in_words,
            changed.require_two_factor,
            changed.event_retention_days,
        )
        if saved is None:
            raise LookupError("the company vanished while locked")
        await self._standings.everybody_changed(tx)
        tx.outbox.add(SettingsUpdated(settings=saved), UUID(tx.tenant_id))
        await record(
            tx,
            call,
            "settings.update",
            UUID(tx.tenant_id),
            before=before.model_dump(mode="json"),
            after=saved.model_dump(mode="json"),
        )
        return saved


async def _read(tx: Transaction, *, lock: bool = False) -> CompanySettings:
    found = await _SETTINGS.first(tx, f"{_FIND} FOR UPDATE" if lock else _FIND, tx.tenant_id)
    if found is None:
        raise LookupError("a tenant without a company")
    return found

"""SQL of authenticators and recovery codes of users who are of the transaction's tenant.

The rows are kept where the account was opened, whichever of its companies the user is in.
"""

from collections.abc import Iterable
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows

from crm_gateway.auth.models import User
from crm_gateway.two_factor.models import Authenticator, RecoveryCode

_AUTHENTICATORS = Rows(Authenticator)
_CODES = Rows(RecoveryCode)


_IS_ENABLED = """
SELECT f.confirmed_at IS NOT NULL FROM agents a JOIN authenticators f ON f.user_id = a.user_id
WHERE a.tenant_id = $1 AND a.id = $2
"""


async def find(tx: Transaction, account_id: UUID, *, lock: bool = False) -> Authenticator | None:
    """The person's authenticator, confirmed or not."""
    one = "SELECT * FROM authenticators WHERE user_id = $1"
    return await _AUTHENTICATORS.first(tx, f"{one} FOR UPDATE" if lock else one, account_id)


async def is_enabled(tx: Transaction, agent_id: UUID) -> bool:
    """Whether logging in takes a code of who is this agent."""
    return bool(await tx.fetchval(_IS_ENABLED, tx.tenant_id, agent_id))


async def begin(tx: Transaction, user: User, sealed_secret: str) -> bool:
    """Keep the secret of an authenticator to be confirmed; False where one is confirmed already."""
    row = Authenticator(user_id=user.id, tenant_id=user.tenant_id, sealed_secret=sealed_secret)
    await _AUTHENTICATORS.insert(tx, [row], unless="(user_id)")
    changed = await tx.execute(
        "UPDATE authenticators SET sealed_secret = $2 WHERE user_id = $1 AND confirmed_at IS NULL",
        user.id,
        sealed_secret,
    )
    return changed == 1


async def confirm(tx: Transaction, account_id: UUID) -> None:
    """Ask for its codes from now on."""
    await tx.execute(
        "UPDATE authenticators SET confirmed_at = now() WHERE user_id = $1",
        account_id,
    )


async def use_step(tx: Transaction, account_id: UUID, step: int) -> bool:
    """Use a code up; False when it, or a later one, was used before."""
    changed = await tx.execute(
        "UPDATE authenticators SET last_step = $2 WHERE user_id = $1 AND last_step < $2",
        account_id,
        step,
    )
    return changed == 1


async def use_recovery_code(tx: Transaction, account_id: UUID, code_hash: str) -> bool:
    """Use a recovery code up; False when there is none such, or no more."""
    used = await tx.execute(
        "DELETE FROM recovery_codes WHERE user_id = $1 AND code_hash = $2",
        account_id,
        code_hash,
    )
    return used == 1


async def replace_recovery_codes(tx: Transaction, user: User, hashes: Iterable[str]) -> None:
    """Have these recovery codes, and none from before."""
    await _forget_codes(tx, user.id)
    rows = [RecoveryCode(user_id=user.id, tenant_id=user.tenant_id, code_hash=h) for h in hashes]
    await _CODES.insert(tx, rows)


async def count_recovery_codes(tx: Transaction, account_id: UUID) -> int:
    """How many are left."""
    count = "SELECT count(*) FROM recovery_codes WHERE user_id = $1"
    return int(await tx.fetchval(count, account_id))


async def remove(tx: Transaction, account_id: UUID) -> bool:
    """Forget the authenticator and the codes; False where there was none."""
    await _forget_codes(tx, account_id)
    removed = await tx.execute("DELETE FROM authenticators WHERE user_id = $1", account_id)
    return removed == 1


async def _forget_codes(tx: Transaction, account_id: UUID) -> None:
    await tx.execute("DELETE FROM recovery_codes WHERE user_id = $1", account_id)

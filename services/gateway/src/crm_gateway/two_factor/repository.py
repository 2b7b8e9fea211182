"""SQL of authenticators and recovery codes, within the tenant."""

from collections.abc import Iterable
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows

from crm_gateway.two_factor.models import Authenticator, RecoveryCode

_AUTHENTICATORS = Rows(Authenticator)
_CODES = Rows(RecoveryCode)


async def find(tx: Transaction, user_id: UUID, *, lock: bool = False) -> Authenticator | None:
    """The person's authenticator, confirmed or not."""
    one = "SELECT * FROM authenticators WHERE tenant_id = $1 AND user_id = $2"
    return await _AUTHENTICATORS.first(
        tx, f"{one} FOR UPDATE" if lock else one, tx.tenant_id, user_id
    )


async def is_enabled(tx: Transaction, user_id: UUID) -> bool:
    """Whether logging in takes a code of the person's."""
    found = await find(tx, user_id)
    return found is not None and found.confirmed_at is not None


async def begin(tx: Transaction, user_id: UUID, sealed_secret: str) -> bool:
    """Keep the secret of an authenticator to be confirmed; False where one is confirmed already."""
    row = Authenticator(user_id=user_id, tenant_id=tx.tenant_id, sealed_secret=sealed_secret)
    await _AUTHENTICATORS.insert(tx, [row], unless="(user_id)")
    changed = await tx.execute(
        "UPDATE authenticators SET sealed_secret = $3"
        " WHERE tenant_id = $1 AND user_id = $2 AND confirmed_at IS NULL",
        tx.tenant_id,
        user_id,
        sealed_secret,
    )
    return changed == 1


async def confirm(tx: Transaction, user_id: UUID) -> None:
    """Ask for its codes from now on."""
    await tx.execute(
        "UPDATE authenticators SET confirmed_at = now() WHERE tenant_id = $1 AND user_id = $2",
        tx.tenant_id,
        user_id,
    )


async def use_step(tx: Transaction, user_id: UUID, step: int) -> bool:
    """Use a code up; False when it, or a later one, was used before."""
    changed = await tx.execute(
        "UPDATE authenticators SET last_step = $3"
        " WHERE tenant_id = $1 AND user_id = $2 AND last_step < $3",
        tx.tenant_id,
        user_id,
        step,
    )
    return changed == 1


async def use_recovery_code(tx: Transaction, user_id: UUID, code_hash: str) -> bool:
    """Use a recovery code up; False when there is none such, or no more."""
    used = await tx.execute(
        "DELETE FROM recovery_codes WHERE tenant_id = $1 AND user_id = $2 AND code_hash = $3",
        tx.tenant_id,
        user_id,
        code_hash,
    )
    return used == 1


async def replace_recovery_codes(tx: Transaction, user_id: UUID, hashes: Iterable[str]) -> None:
    """Have these recovery codes, and none from before."""
    await _forget_codes(tx, user_id)
    rows = [RecoveryCode(user_id=user_id, tenant_id=tx.tenant_id, code_hash=h) for h in hashes]
    await _CODES.insert(tx, rows)


async def count_recovery_codes(tx: Transaction, user_id: UUID) -> int:
    """How many are left."""
    count = "SELECT count(*) FROM recovery_codes WHERE tenant_id = $1 AND user_id = $2"
    return int(await tx.fetchval(count, tx.tenant_id, user_id))


async def remove(tx: Transaction, user_id: UUID) -> bool:
    """Forget the authenticator and the codes; False where there was none."""
    await _forget_codes(tx, user_id)
    removed = await tx.execute(
        "DELETE FROM authenticators WHERE tenant_id = $1 AND user_id = $2", tx.tenant_id, user_id
    )
    return removed == 1


async def _forget_codes(tx: Transaction, user_id: UUID) -> None:
    await tx.execute(
        "DELETE FROM recovery_codes WHERE tenant_id = $1 AND user_id = $2", tx.tenant_id, user_id
    )

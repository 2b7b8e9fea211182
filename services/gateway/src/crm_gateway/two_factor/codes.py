"""What proves somebody beside the password: an authenticator's codes (RFC 6238), and those to fall
back on when it is lost."""

import base64
import hashlib
import secrets
from datetime import datetime

import pyotp

_DIGITS = 6
_RECOVERY_CODES = 10
_RECOVERY_BYTES = 10
"""80 bits: a fast hash is enough for them."""
_GROUP = 4
_STEPS_OFF = 1
"""Steps of 30 s by which the clocks may differ (RFC 6238, section 5.2)."""


def new_secret() -> str:
    """The secret of another authenticator, in base32 as authenticators take it."""
    return pyotp.random_base32()


def uri_of(secret: str, *, email: str, issuer: str) -> str:
    """What an authenticator reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)


def is_recovery_code(code: str) -> bool:
    """Whether this cannot be a code of an authenticator's."""
    return len(_bare(code)) > _DIGITS


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The step of time that an authenticator shows this code in; None if none does about now."""
    totp = pyotp.TOTP(secret)
    present = totp.timecode(now)
    for step in range(present - _STEPS_OFF, present + _STEPS_OFF + 1):
        if secrets.compare_digest(totp.generate_otp(step).encode(), _bare(code).encode()):
            return step
    return None


def new_recovery_codes() -> list[str]:
    """Codes such as `mfzw-c5dp-nrxw-k3tf`."""
    bare = [
        base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower()
        for _ in range(_RECOVERY_CODES)
    ]
    return ["-".join(code[at : at + _GROUP] for at in range(0, len(code), _GROUP)) for code in bare]


def recovery_hash(code: str) -> str:
    """How a recovery code is kept, however it is typed."""
    return hashlib.sha256(_bare(code).encode()).hexdigest()


def _bare(code: str) -> str:
    return "".join(letter for letter in code.lower() if letter.isalnum())

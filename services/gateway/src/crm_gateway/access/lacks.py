"""What a person may lack, and then may do little: what takes the lack away, and leave."""

from typing import Literal

from service_kit.errors import ForbiddenError

Lack = Literal["email_unverified"]
"""Also the code of the refusal."""
_TOLD: dict[Lack, str] = {"email_unverified": "Prove your e-mail first, by the link in the mail."}


def refusal(lack: Lack) -> ForbiddenError:
    """Why somebody who lacks this may not."""
    return ForbiddenError(lack, _TOLD[lack])

"""What a person may lack, and then may do little: what takes the lack away, and leave."""

from typing import Literal, get_args

from service_kit.errors import ForbiddenError

Lack = Literal["email_unverified", "two_factor_required_by_company"]
"""Also the code of the refusal."""
LACKS: tuple[Lack, ...] = get_args(Lack)
_TOLD: dict[Lack, str] = {
    "email_unverified": "Prove your e-mail first, by the link in the mail.",
    "two_factor_required_by_company": "The company wants a second factor: set one up first.",
}


def refusal(lack: Lack) -> ForbiddenError:
    """Why somebody who lacks this may not."""
    return ForbiddenError(lack, _TOLD[lack])

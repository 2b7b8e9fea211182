"""The bounds of what travels, each stated once.

Producers cut or refuse by them, columns are as wide, consumers may rely on them: a value that
fits the contract fits everywhere. `limit(Type)` reads a bound for whoever has to cut.
"""

from typing import Annotated, Any, get_args

from pydantic import Field, StringConstraints

TenantId = Annotated[str, StringConstraints(max_length=255, pattern=r"^[A-Za-z0-9_.-]+$")]
CorrelationId = Annotated[str, StringConstraints(max_length=255)]

Name = Annotated[str, StringConstraints(max_length=255)]
Phone = Annotated[str, StringConstraints(max_length=50)]
"""E.164, with its plus."""
Email = Annotated[str, StringConstraints(max_length=255)]
Url = Annotated[str, StringConstraints(max_length=4096)]
MimeType = Annotated[str, StringConstraints(max_length=255)]
FileName = Annotated[str, StringConstraints(max_length=255)]
Word = Annotated[str, StringConstraints(max_length=50)]
"""A word of ours: a status, a reason, a source."""
Reason = Annotated[str, StringConstraints(max_length=1000)]
"""A sentence that says why."""
TimeZone = Annotated[str, StringConstraints(min_length=1, max_length=64)]
"""A name of the IANA time zone database, such as `America/Sao_Paulo`."""
Cursor = Annotated[str, StringConstraints(max_length=500)]
"""Where a list goes on."""
ErrorCode = Annotated[str, StringConstraints(max_length=100)]

WhatsAppValue = Annotated[str, StringConstraints(max_length=49)]
"""The part of a WhatsApp id before its server; with a plus before it, it is a `Phone`."""
ChatId = Annotated[str, StringConstraints(max_length=120)]
"""A WhatsApp id with its server, such as `5511988880001@c.us`."""
ExternalId = Annotated[str, StringConstraints(max_length=255)]
"""WhatsApp's own id of a message."""
LabelId = Annotated[str, StringConstraints(max_length=50)]
"""WhatsApp's own id of a label, within its number."""
Color = Annotated[str, StringConstraints(max_length=20)]
"""Such as `#ff9485`."""
MessageText = Annotated[str, StringConstraints(max_length=1_000_000)]
"""What was written. WhatsApp takes 65,536 characters; what came in is never cut."""
Emoji = Annotated[str, StringConstraints(max_length=50)]
"""One emoji: families and flags are of a dozen characters. Empty where one was taken away."""
PollOption = Annotated[str, StringConstraints(max_length=255)]
"""What a poll lets choose; WhatsApp takes 100 characters."""
POLL_OPTIONS = 100
"""How many of them somebody may choose; WhatsApp takes 12."""

Tag = Annotated[str, StringConstraints(max_length=64)]
Document = Annotated[dict[str, Any], Field(max_length=64)]
"""A JSON object of a customer's."""


def limit(kind: Any) -> int:
    """The most characters a bounded text type of this module takes."""
    for constraint in get_args(kind)[1:]:
        if isinstance(constraint, StringConstraints) and constraint.max_length is not None:
            return constraint.max_length
    raise TypeError(f"{kind} states no bound")

"""The end of an erasure in this service (docs/adr/0022)."""

from shared_events.erasing import ErasureReport


class ErasedByGateway(ErasureReport, type="erasure.done_by_gateway"):
    """The gateway holds nothing of an erased person any more."""

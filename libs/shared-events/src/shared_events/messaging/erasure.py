"""The end of an erasure in this service (docs/adr/0022)."""

from shared_events.erasing import ErasureReport


class ErasedByMessaging(ErasureReport, type="erasure.done_by_messaging"):
    """Messaging holds nothing of an erased person any more."""

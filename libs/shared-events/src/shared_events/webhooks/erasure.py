"""The end of an erasure in this service (docs/adr/0022)."""

from shared_events.erasing import ErasureReport


class ErasedByWebhooks(ErasureReport, type="erasure.done_by_webhooks"):
    """Webhooks holds nothing of an erased person any more."""

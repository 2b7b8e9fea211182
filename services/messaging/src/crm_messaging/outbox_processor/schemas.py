"""What the outbox workflow and its activity tell each other."""

from pydantic import BaseModel

OUTBOX_QUEUE = "outbox-queue"
OUTBOX_WORKFLOW_ID = "outbox-processor-messaging"
DRAIN_OUTBOX = "drain_outbox"


class DrainWindow(BaseModel):
    """How many seconds one drain activity lasts, and how many between two looks."""

    seconds: float = 60.0
    poll_seconds: float = 1.0

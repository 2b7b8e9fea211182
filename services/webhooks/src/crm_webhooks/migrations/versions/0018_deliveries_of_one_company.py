"""Lists of deliveries walk their index however many the endpoint has (docs/adr/0040)."""

from alembic import op
from service_kit.ddl import presume_named

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """What a planner cannot know: an endpoint is of one company, and who acts names it."""
    presume_named("webhook_deliveries")
    op.execute(
        "CREATE STATISTICS IF NOT EXISTS deliveries_of_one_company (dependencies) "
        "ON tenant_id, endpoint_id FROM webhook_deliveries"
    )

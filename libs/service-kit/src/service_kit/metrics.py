"""Prometheus metrics every service has. No tenant, no phone in a label."""

from prometheus_client import Counter, Gauge, Histogram

READY = Gauge("crm_ready", "Whether the process takes traffic, 1 or 0, as of this scrape")
HEALTH_CHECK = Gauge(
    "crm_health_check", "Whether a check of /health passes, 1 or 0, as of this scrape", ["check"]
)
LOOP_LAG_SECONDS = Histogram(
    "crm_event_loop_lag_seconds",
    "How late the event loop was, looked at 20 times a second",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
DB_POOL_WAIT_SECONDS = Histogram(
    "crm_db_pool_wait_seconds",
    "Waiting for a connection of a pool; who got none waited for 5 s",
    ["pool"],
    buckets=(0.001, 0.01, 0.1, 0.5, 1, 2.5, 5),
)
MESSAGE_PROCESSING_SECONDS = Histogram(
    "message_processing_duration_seconds",
    "Message processing duration",
    ["consumer", "status"],
)
MESSAGE_PROCESSING = Counter(
    "message_processing_total",
    "Total messages processed",
    ["consumer", "status"],
)
CONSUMER_BATCH_SIZE = Histogram(
    "crm_consumer_batch_size",
    "Messages applied in one transaction",
    ["consumer"],
    buckets=(1, 2, 5, 10, 20, 50, 100, 200),
)
DEAD_LETTERED = Counter(
    "crm_dead_lettered_total", "Messages given up on, by reason", ["consumer", "reason"]
)
SET_ASIDE = Counter(
    "crm_consumer_set_aside_total", "Messages that made room because of a lock", ["consumer"]
)
OUTBOX_PUBLISHED = Counter(
    "crm_outbox_published_total", "Events published by the relay", ["result"]
)
OUTBOX_PENDING = Gauge("crm_outbox_pending", "Events not published yet")
OUTBOX_OLDEST_SECONDS = Gauge(
    "crm_outbox_oldest_pending_age_seconds", "Age of the oldest event not published yet"
)
OUTBOX_FAILED = Gauge("crm_outbox_failed", "Events parked after too many failures")
RELAY_SHARDS = Gauge("crm_outbox_relay_shards", "Shards of the outbox that this process leads")
TASK_RESTARTS = Counter(
    "crm_task_restarts_total", "Standing tasks that raised and were started over", ["task"]
)
REQUESTS_UNPROVEN = Counter(
    "crm_bus_requests_unproven_total", "Requests dropped for their signature", ["queue"]
)
REQUEST_SECONDS = Histogram(
    "crm_bus_request_duration_seconds", "Bus requests answered", ["key", "outcome"]
)

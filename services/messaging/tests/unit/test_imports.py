import subprocess
import sys

FORBIDDEN = ("asyncpg", "sqlalchemy", "httpx", "faststream", "aio_pika", "fastapi")


class TestWorkflowModules:
    def test_bring_no_database_broker_or_http_client(self) -> None:
        script = (
            "import sys, crm_messaging.sessions.workflow;"
            f"print([m for m in {FORBIDDEN!r} if m in sys.modules])"
        )
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert result.stdout.strip() == "[]", result.stderr

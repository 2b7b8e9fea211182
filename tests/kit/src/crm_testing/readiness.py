"""A process that says of itself whether it is ready, for those who ask it by HTTP."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread


@dataclass
class Readiness:
    """What `/health/ready` answers at the port, until it is hung up."""

    port: int
    hang_up: Callable[[], None]
    status: int = 200
    says: Mapping[str, object] = field(default_factory=dict)


@contextmanager
def readiness() -> Iterator[Readiness]:
    """Such a process, on a thread of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(said.status if self.path == "/health/ready" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(said.says).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)

    def hang_up() -> None:
        server.shutdown()
        server.server_close()

    said = Readiness(server.server_port, hang_up)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield said
    hang_up()
    thread.join()

"""Exit 0 when the service in this container is ready.

Asks what `crm-service healthcheck` asks, from the standard library alone: that command loads the
whole service first, a second of processor time, too much for something that runs every 5 s.
"""

import os
import sys
from http.client import HTTPConnection

connection = HTTPConnection("127.0.0.1", int(os.environ["SERVER_PORT"]), timeout=3)
try:
    connection.request("GET", "/health/ready")
    sys.exit(connection.getresponse().status != 200)
except OSError as error:
    sys.exit(str(error))

"""A webhook that the tests serve: it keeps what it receives, and may refuse it or never answer."""

from __future__ import annotations

import http.server
import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SECRET = "T0/hunter2-c0ffee"


class Webhook(http.server.ThreadingHTTPServer):
    """A server on all addresses of this machine.

    Attributes:
        received: The notifications, in order.
        status: HTTP status of its answers.
        may_answer: Set while it answers.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("", 0), _Handler)
        self.received: queue.Queue[dict[str, Any]] = queue.Queue()
        self.status = 200
        self.may_answer = threading.Event()
        self.may_answer.set()

    def url(self, host: str = "127.0.0.1") -> str:
        """Return its address, which contains a secret."""
        return f"http://{host}:{self.server_address[1]}/services/{SECRET}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        """Keep a notification, then answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == f"/services/{SECRET}"
        self.server.received.put(json.loads(body))
        self.server.may_answer.wait()
        self.send_response(self.server.status)
        self.end_headers()

    def do_CONNECT(self) -> None:
        """Refuse to be a proxy."""
        self.send_response(403)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@contextmanager
def serve_webhook() -> Iterator[Webhook]:
    """Yield a webhook that is served until the block ends."""
    with Webhook() as server:
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.may_answer.set()
        server.shutdown()

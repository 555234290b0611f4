"""Simple requests to the node's own API server, to check that it is healthy."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from tests.cluster.layout import NODE, Layout


class Api:
    """Client of the API server on loopback with the administrator's rights; faster than `kubectl`."""

    def __init__(self, layout: Layout, port: int) -> None:
        self._port = port
        keys = layout.certificates
        self._tls = ssl.create_default_context(cafile=str(keys / "ca.crt"))
        self._tls.load_cert_chain(keys / "admin.crt", keys / "admin.key")

    def get(self, path: str) -> Any:
        """Return the decoded response, or None if there is no response or the object does not exist."""
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, context=self._tls, timeout=5)
        try:
            connection.request("GET", path, headers={"Accept": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            # The server does not listen or has just stopped: callers retry until their deadline.
            return None
        finally:
            connection.close()
        if answer.status != http.client.OK:
            return None
        return json.loads(body) if body.startswith(b"{") else body.decode()

    def ready(self) -> bool:
        """Return whether the API server answers and has finished its own preparations."""
        return self.get("/readyz") is not None

    def node_ready(self) -> bool:
        """Return whether pods can be scheduled: the node is ready and the service account exists."""
        node = self.get(f"/api/v1/nodes/{NODE}")
        if node is None or node["spec"].get("taints"):
            return False
        conditions = node["status"].get("conditions", [])
        ready = any(
            condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions
        )
        # The API server rejects pods until this account exists.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        return ready and self.get(account) is not None

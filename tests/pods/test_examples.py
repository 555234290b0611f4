"""The examples of real work that need a pod, with stand-ins for what the cluster of the tests does not have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from podtask import PodTemplate

from tests.docs.examples import example
from tests.notebook import Shell
from tests.pods.waiting import IMAGE

pytestmark = [pytest.mark.cluster]
# A database that answers a line of JSON, [statement, parameters], with its rows.
SERVER = """
import json, socketserver, sqlite3
class Session(socketserver.StreamRequestHandler):
    def handle(self):
        database = sqlite3.connect(":memory:")
        for line in self.rfile:
            rows = database.execute(*json.loads(line)).fetchall()
            self.wfile.write(json.dumps(rows).encode() + b"\\n")
socketserver.TCPServer(("0.0.0.0", 5432), Session).serve_forever()
"""
# Its client has the part of psycopg that the example uses.
CLIENT = """
import json
import socket


class Connection:
    def __init__(self, address):
        self._stream = socket.create_connection(address).makefile("rw")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._stream.close()

    def execute(self, statement, parameters=()):
        self._stream.write(json.dumps([statement.replace("%s", "?"), parameters]) + "\\n")
        self._stream.flush()
        self.rows = [tuple(row) for row in json.loads(self._stream.readline())]
        return self

    def fetchall(self):
        return self.rows


def connect(parameters):
    assert parameters == "host=localhost user=postgres"
    return Connection(("localhost", 5432))
"""


def test_postgres_beside_a_cell(pods: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cell waits for the database of its pod, fills a table and brings the totals back."""
    (tmp_path / "psycopg.py").write_text(CLIENT)
    monkeypatch.syspath_prepend(tmp_path)
    template, cell = example("Postgres beside a cell")
    pods.run(template)
    spec = pods["with_postgres"].to_dict()["spec"]
    (server,) = (each for each in spec["containers"] if each["name"] == "postgres")
    assert server["image"] == "postgres:17"
    server.update(image=IMAGE, command=["python3", "-c", SERVER])
    pods["with_postgres"] = PodTemplate(spec)
    pods.output(cell.replace("--pip psycopg[binary]", f"--image {IMAGE}"))
    assert pods["totals"] == [("coffee", 5), ("tea", 7)]


def test_files_in_a_bucket(pods: Shell, cluster: Any, namespace: str) -> None:
    """The cell reads the files of the mounted bucket, and only the totals come back."""
    files = {"may": "item,amount\ntea,3\ncoffee,4\n", "june": "item,amount\ntea,1.5\n"}
    literals = [f"--from-literal={name}.csv={text}" for name, text in files.items()]
    cluster.kubectl("create", "configmap", "bucket", "-n", namespace, *literals)
    template, cell = example("Files in a bucket")
    pods.run(template)
    spec = pods["bucket"].to_dict()["spec"]
    (volume,) = (each for each in spec["volumes"] if each.get("csi"))
    del volume["csi"]  # its driver would mount the bucket
    volume["configMap"] = {"name": "bucket"}
    pods["bucket"] = PodTemplate(spec)
    pods.output(cell.replace("-t bucket", f"-t bucket --image {IMAGE}"))
    assert pods["totals"] == {"june": 1.5, "may": 7.0}

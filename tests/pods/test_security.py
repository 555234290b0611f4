"""Other processes of the pod are not trusted: they receive no code, and their data is never unpickled."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import podtask
import pytest
from podtask.cell.cell import Cell
from podtask.errors import PodtaskError
from podtask.lifecycle.prepare import prepare
from podtask.lifecycle.start import NewRunner
from podtask.lifecycle.task import Task

from tests.notebook import Shell
from tests.pods.waiting import HOLD, IMAGE, submit, submitted, wait_for_input_request

pytestmark = [pytest.mark.cluster, pytest.mark.fault(90)]
# Takes the port before the runner, responds to every line, and logs everything that it receives.
SQUATTER = """
import socket, sys
s = socket.create_server(("127.0.0.1", {port}))
print("listening", flush=True)
while True:
    c = s.accept()[0]
    c.settimeout(3)
    try:
        while True:
            d = c.recv(65536)
            if not d: break
            print("got", d.hex(), flush=True)
            c.sendall(b"a" * 32 + b" 3.11.2 1 " + b"b" * 64 + b"\\n")
    except OSError:
        pass
    c.close()
"""


# Accepts the early connection of the notebook, releases the port, and relays everything to the runner.
# A pod with another port receives no connection on this port.
RELAY = """
import pathlib, socket, threading, time
l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind(("127.0.0.1", {port}))
l.listen()
l.settimeout(5)
try:
    client = l.accept()[0]
except TimeoutError:
    client = None
l.close()
pathlib.Path("/tmp/ready").touch()
if client is None:
    time.sleep(600)
client.settimeout(None)
while True:
    try:
        runner = socket.create_connection(("127.0.0.1", {port}))
        break
    except OSError:
        time.sleep(0.01)
print("connected", flush=True)
def pump(a, b):
    while True:
        d = a.recv(65536)
        if not d: break
        b.sendall(d.replace(b"honest", b"FORGED"))
threading.Thread(target=pump, args=(client, runner), daemon=True).start()
pump(runner, client)
"""
PORT = 23456


def sidecar(program: str, probe: str) -> dict[str, Any]:
    """Return a pod whose native sidecar runs a program; the primary starts once the probe succeeds."""
    encoded = base64.b64encode(program.format(port=PORT).encode()).decode()
    command = ["python3", "-c", f"import base64; exec(base64.b64decode('{encoded}'))"]
    ready = {"exec": {"command": ["python3", "-c", probe]}, "periodSeconds": 1, "failureThreshold": 60}
    return {
        "initContainers": [
            {
                "name": "stranger",
                "image": "python:3.11-slim",
                "command": command,
                "restartPolicy": "Always",
                "startupProbe": ready,
            }
        ],
        "containers": [],
    }


def attacked(template: dict[str, Any], source: str, on_phase: Callable[[str], None]) -> Task:
    """Run a cell next to an attacker that owns the port; return the ended task, which used another pod.

    Args:
        template: Template with the sidecar of the attacker.
        source: Source of the cell.
        on_phase: Called with the name of the task at each new phase.
    """
    options = podtask.RunOptions.of(template=podtask.PodTemplate.of(template))
    task = Task(NewRunner(prepare(Cell.of(source), options, {}), port=PORT))
    notes = []
    while True:
        update = task.updates.get(timeout=90)
        if update.kind == "note":
            notes.append(update.text)
        if update.kind == "phase" and task.name:
            on_phase(task.name)
        if update.kind == "done":
            break
    assert any("port is in use by another container" in note for note in notes)
    return task


def test_squatter_receives_no_code_and_is_not_trusted(pods: Shell, cluster: Any, namespace: str) -> None:
    """A sidecar that takes the port first receives only nonces; the cell runs in another pod."""
    told: list[str] = []

    def look(name: str) -> None:
        if not any(told):
            words = ("logs", name, "-c", "stranger", "-n", namespace)
            told.append(cluster.kubectl(*words, check=False))

    probe = f"import socket; socket.create_connection(('127.0.0.1', {PORT}))"
    task = attacked(sidecar(SQUATTER, probe), "secret = 'the code'\n6 * 7", look)
    assert task.result() == 42
    assert b"the code".hex() not in "".join(told)


def test_relay_finds_no_runner(pods: Shell) -> None:
    """A sidecar that keeps our first connection to relay it finds no runner on the port."""
    probe = "import pathlib; pathlib.Path('/tmp/ready').stat()"
    task = attacked(sidecar(RELAY, probe), "print('honest')\n6 * 7", lambda name: None)
    assert task.result() == 42
    assert task.logs() == "honest\n"


# Prints what it may read of the runner and of the network; the runner waits for input.
SPY = """
import json, os, socket
found = {"key": False, "packets": False}
try:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    found["packets"] = True
except OSError:
    pass
def is_runner(pid):
    try:
        return int(pid) != os.getpid() and "PODTASK_LOCK" in open(f"/proc/{pid}/cmdline").read()
    except OSError:
        return False
runner = next(pid for pid in os.listdir("/proc") if pid.isdigit() and is_runner(pid))
try:
    found["key"] = b"PODTASK_KEY" in open(f"/proc/{runner}/environ", "rb").read()
except OSError:
    pass
print(json.dumps(found))
"""
# Reads the traffic of the loopback interface until the answer of the user is in it.
SNIFFER = """
import socket
packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
packets.bind(("lo", 0))
print("reading", flush=True)
while b"the answer" not in packets.recv(1 << 18):
    pass
print("has the answer", flush=True)
"""


def test_sidecar_reads_the_cell_only_as_its_user(pods: Shell, cluster: Any, namespace: str) -> None:
    """In a shared process namespace, the cell's user and no other one reads the key; without NET_RAW, nobody the traffic."""
    idle = {"image": IMAGE, "command": ["python3", "-c", "import signal; signal.pause()"]}
    users = {"same": 1000, "other": 1234}
    drop = {"capabilities": {"drop": ["ALL"]}}
    sidecars = [
        {**idle, "name": name, "securityContext": {**drop, "runAsUser": user}} for name, user in users.items()
    ]
    primary = {"name": "primary", "securityContext": {"runAsUser": 1000}}
    with submitted(
        {"spec": {"shareProcessNamespace": True, "containers": [primary, *sidecars]}}, HOLD
    ) as task:
        wait_for_input_request(task)
        cluster.kubectl("wait", "--for=condition=Ready", f"pod/{task.name}", "-n", namespace, "--timeout=60s")
        run = ("exec", task.name, "-n", namespace)
        same, other = (
            json.loads(cluster.kubectl(*run, "-c", name, "--", "python3", "-c", SPY)) for name in users
        )
        task.reply({"eof": True})
        task.result(60)
    assert same == {"key": True, "packets": False}
    assert other == {"key": False, "packets": False}


def test_sidecar_with_net_raw_reads_the_traffic(pods: Shell, cluster: Any, namespace: str) -> None:
    """A container with NET_RAW reads what the user answers: frames are authenticated, and not encrypted."""
    sniffer = {
        "name": "sniffer",
        "image": IMAGE,
        "command": ["python3", "-c", SNIFFER],
        "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]}},
    }
    template = {"spec": {"containers": [{"name": "primary"}, sniffer]}}
    with ThreadPoolExecutor() as threads, submitted(template, HOLD) as task:
        wait_for_input_request(task)
        cluster.kubectl("wait", "--for=condition=Ready", f"pod/{task.name}", "-n", namespace, "--timeout=60s")
        log = ("logs", "-f", task.name, "-c", "sniffer", "-n", namespace)
        assert cluster.kubectl(*log, f"--limit-bytes={len('reading')}") == "reading"
        whole = threads.submit(cluster.kubectl, *log)
        task.reply({"value": "the answer"})
        task.result(60)
        assert whole.result(60) == "reading\nhas the answer\n"


# Takes the place of the image's Python: it runs the first program, and changes what that says about its result.
HOSTILE_PYTHON = """#!/usr/bin/env python3
import json, os, sys
encode = json.JSONEncoder.encode
changes = json.loads(os.environ["CHANGES"])
def changed(self, value):
    if isinstance(value, dict) and "packed" in value and "sizes" in value:
        value = {**value, **changes, "packed": [{**each, **changes.get("item", {})} for each in value["packed"]]}
    return encode(self, value)
json.JSONEncoder.encode = changed
program = sys.argv[3]
del sys.argv[1:]
exec(program)
"""
CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "memory": ({"sizes": [1 << 28]}, "sent a frame that podtask cannot read"),
    "another place": ({"item": {"stream": 1 << 28}}, "The result is not readable"),
    "pickle": ({"item": {"format": None}}, "it was sent as a pickle, which is not loaded"),
    "another table": ({"item": {"format": "arrow"}}, "was not returned"),
    "status": ({"status": "\x1b]0;owned\x07<script>"}, "The result is not readable"),
}


def test_hostile_image_returns_nothing_but_errors(pods: Shell, cluster: Any, namespace: str) -> None:
    """With --results plain, an image whose Python lies about its result gets no memory and runs nothing."""
    program = f"--from-literal=python={HOSTILE_PYTHON}"
    cluster.kubectl("create", "configmap", "hostile", program, "-n", namespace)
    volume = {"name": "hostile", "configMap": {"name": "hostile", "defaultMode": 0o555}}
    mount = {"name": "hostile", "mountPath": "/hostile"}
    tasks = {}
    for name, (changes, _) in CHANGES.items():
        env = [{"name": "CHANGES", "value": json.dumps(changes)}]
        spec = {
            "containers": [{"name": "primary", "env": env, "volumeMounts": [mount]}],
            "volumes": [volume],
        }
        tasks[name] = submit({"spec": spec}, "'value'", results="plain", python="/hostile/python")
    for name, (_, says) in CHANGES.items():
        with pytest.raises(PodtaskError) as raised:
            tasks[name].result(60)
        assert says in str(raised.value), name
        assert "\x1b" not in f"{raised.value}{tasks[name]!r}"

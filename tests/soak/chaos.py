"""The disturbances of a soak: cuts, restarts, stops and kills at fixed points of its progress."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.cluster.errors import ClusterError, wait_until
from tests.cluster.handle import Cluster
from tests.cluster.proxy import Proxy
from tests.soak.report import Report

CUTS, KILLS = 25, 20  # one cut per this many ended tasks, one kill per this many started pods
END_SECONDS = 90.0
ROOT = Path(__file__).parent.parent.parent


class Soak:
    """A soak with a client behind a proxy, and its disturbances.

    Args:
        cluster: Cluster with a node that may be disturbed.
        namespace: Name of an empty namespace.
        folder: Folder for the kubeconfig and the files of the client.
        pause: Seconds for which the client process is stopped.
    """

    def __init__(self, cluster: Cluster, namespace: str, folder: Path, pause: float) -> None:
        self.report = Report()
        self._cluster, self._namespace, self._pause = cluster, namespace, pause
        self._said = folder / "stderr"
        self._scratch = folder / "scratch"
        self._scratch.mkdir()
        self._proxy = Proxy(*cluster.server)
        self._config = cluster.write_kubeconfig(folder / "config", port=self._proxy.port, namespace=namespace)
        self._alive: set[str] = set()  # pods of running tasks
        self._draw = random.Random(2)  # the same seed in each run
        self._pods = 0

    def run(self, local: int, pods: int, at_once: int) -> Report:
        """Run the tasks and return the report."""
        begin = time.monotonic()
        env = {**os.environ, "KUBECONFIG": str(self._config), "TMPDIR": str(self._scratch)}
        command = [
            sys.executable,
            "-m",
            "tests.soak.client",
            f"--local={local}",
            f"--pods={pods}",
            f"--at-once={at_once}",
        ]
        with (
            contextlib.closing(self._proxy),
            self._said.open("w") as errors,
            subprocess.Popen(
                command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
            ) as client,
        ):
            try:
                self._follow(client, local + pods)
                if client.wait(END_SECONDS) != 0:
                    self.report.leftovers.append(f"the client ended with exit code {client.returncode}")
            finally:
                client.kill()
        self.report.seconds = time.monotonic() - begin
        self._look()
        return self.report

    def _follow(self, client: subprocess.Popen[str], tasks: int) -> None:
        assert client.stdout is not None
        said: queue.SimpleQueue[str] = queue.SimpleQueue()
        # Read by a thread, so that a disturbance never blocks the client.
        reader = threading.Thread(target=_read, args=(client.stdout, said))
        reader.start()
        for line in iter(said.get, ""):
            self._hear(json.loads(line), client, tasks)
        reader.join()

    def _hear(self, said: dict[str, Any], client: subprocess.Popen[str], tasks: int) -> None:
        if "began" in said and not said["local"]:
            self._alive.add(said["pod"])
            self._pods += 1
            if self._pods % KILLS == 0:
                self._kill()
        if "memory" in said:
            self.report.samples.append(said)
        if "ended" not in said:
            return
        self._alive.discard(said["pod"])
        self.report.ended.append(said)
        ended = len(self.report.ended)
        if ended % CUTS == 0:
            self._proxy.cut()
            self.report.add("cuts of all connections")
        if ended in (tasks // 3, tasks * 2 // 3):
            with self._cluster.api_server_down():
                self.report.add("restarts of the API server")
        if ended == tasks // 2:
            client.send_signal(signal.SIGSTOP)
            time.sleep(self._pause)  # simulates a closed laptop
            client.send_signal(signal.SIGCONT)
            self.report.add("stops of the client")

    def _kill(self) -> None:
        pod = self._draw.choice(sorted(self._alive))
        self.report.killed.add(pod)
        grace = self._draw.choice(("0", "1"))
        force = ["--force"] if grace == "0" else []
        self._cluster.kubectl(
            "delete",
            "pod",
            pod,
            "-n",
            self._namespace,
            f"--grace-period={grace}",
            *force,
            "--wait=false",
            "--ignore-not-found",
            check=False,
        )
        self.report.add("pods killed")

    def _look(self) -> None:
        """Look for leftovers after the client has ended."""
        told = self._said.read_text()
        sys.stderr.write(told)
        if "Traceback" in told:  # a user would see this output under another cell
            self.report.leftovers.append(f"a traceback: {told.rstrip().splitlines()[-1]}")
        left: list[str] = []

        def gone() -> bool:
            found = self._cluster.kubectl("get", "pods", "-n", self._namespace, "--output=name")
            left[:] = found.split()
            return not left

        try:
            wait_until(gone, "the end of all pods", seconds=END_SECONDS)
        except ClusterError:
            self.report.leftovers.append(f"pods: {', '.join(left)}")
        files = [str(path.relative_to(self._scratch)) for path in self._scratch.rglob("*")]
        if files:
            self.report.leftovers.append(f"files: {', '.join(files[:5])} ({len(files)})")
        processes = _with_environment(f"TMPDIR={self._scratch}")
        if processes:
            self.report.leftovers.append(f"processes: {', '.join(processes)}")


def _read(stream: Any, said: queue.SimpleQueue[str]) -> None:
    for line in stream:
        said.put(line)
    said.put("")


def _with_environment(entry: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if entry.encode() in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
        except OSError:
            continue  # it has ended, or belongs to another process
    return found

"""The node built here: started, looked at, stopped. One per machine."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tests.cluster import (
    cache,
    certificates,
    cgroups,
    configuration,
    facts,
    images,
    leftovers,
    parts,
    processes,
    program,
)
from tests.cluster.api import Api
from tests.cluster.errors import ClusterError, run, tail, tell, wait_until
from tests.cluster.layout import NODE, NODE_ADDRESS, NODE_BRIDGE, SERVICE_ADDRESS, Layout

# Below the kernel's ephemeral ports: while the API server is stopped in a test, no
# client's own end may take its place.
_FIRST_PORT = 16443


class Node:
    """The one node of this machine, whoever started it."""

    def __init__(self, layout: Layout | None = None) -> None:
        self.layout = layout or Layout()

    @property
    def api_port(self) -> int:
        """The API server's port on loopback."""
        return self._facts().ports.api

    def up(self, recipes: Sequence[images.Recipe] = images.RECIPES) -> None:
        """Start the node unless it is up and healthy already.

        Args:
            recipes: The images to import; by default all.
        """
        with cache.locked(self.layout.lock):
            if self._recovers():
                self._import_images(recipes)
                return
            self._prepare()
            # Side by side: images take longer than all the rest.
            with ThreadPoolExecutor(1) as pool:
                importing = pool.submit(self._import_images, recipes)
                self._start()
                importing.result()

    def down(self) -> None:
        """Stop the node and leave nothing of it."""
        with cache.locked(self.layout.lock):
            if leftovers.exist(self.layout):
                leftovers.remove(self.layout)
                tell("stopped")

    def healthy(self) -> bool:
        """Say whether all parts of this version run and pods can be placed."""
        if not self._all_run():
            return False
        api = Api(self.layout, self.api_port)
        return api.ready() and api.node_ready()

    def status(self) -> dict[str, str]:
        """Return each part's state in a word: running, paused or down."""
        states = dict.fromkeys(parts.NAMES, "down")
        for part, process in leftovers.running(self.layout).items():
            states[part] = "paused" if process.state() == "T" else "running"
        return states

    def part(self, name: str) -> processes.Process:
        """Return a running part's process.

        Raises:
            ClusterError: It does not run.
        """
        process = leftovers.running(self.layout).get(name)
        if process is None:
            raise ClusterError(f"{name} does not run; its log ends:\n{self._tail(name)}")
        return process

    def stop_api_server(self) -> None:
        """End the API server as an outage does: at once, all connections dropped."""
        processes.end([self.part("api-server")])

    def start_api_server(self) -> None:
        """Start the API server on the same port as before, and wait until it answers."""
        known = self._facts()
        self._spawn("api-server", known)
        self._wait(Api(self.layout, known.ports.api).ready, "an answer of the API server")

    def _all_run(self) -> bool:
        known = facts.read(self.layout.facts)
        if known is None or known.program != program.name():
            return False
        running = set(self.status().values()) == {"running"}
        return running and self.layout.kubeconfig.exists()

    def _recovers(self) -> bool:
        # A node under load misses heartbeats: no reason to take it from others' tests.
        if not self._all_run():
            return False
        try:
            wait_until(lambda: self.healthy() or not self._all_run(), "a healthy node", seconds=30)
        except ClusterError as error:
            tell(f"{error}: starting it anew")
            return False
        return self._all_run()

    def _prepare(self) -> None:
        layout = self.layout
        executable = program.obtain()
        if leftovers.exist(layout):
            tell("removing what is left of an earlier run")
            leftovers.remove(layout)
        tell("starting the node")
        layout.root.mkdir(mode=0o700, parents=True)
        for name in ("bin", "config", "logs", "processes"):
            (layout.root / name).mkdir()
        layout.program.symlink_to(executable)
        (layout.bin / "kubectl").symlink_to(executable)
        leftovers.remember_machine(layout)
        known = facts.Facts(executable.name, parts.Ports(*_free_ports(3)))
        known.write(layout.facts)
        cgroups.make()
        configuration.write_containerd(layout)
        self._spawn("containerd", known)
        self._wait(layout.cri_socket.exists, "containerd's socket")

    def _start(self) -> None:
        layout = self.layout
        known = self._facts()
        _make_bridge()
        keys = layout.certificates
        certificates.make_all(keys, node=NODE, address=NODE_ADDRESS, service_address=SERVICE_ADDRESS)
        configuration.write_all(layout, known.ports.api)
        self._spawn("etcd", known)
        self._spawn("api-server", known)
        api = Api(layout, known.ports.api)
        self._wait(api.ready, "an answer of the API server")
        tell("the API server answers")
        for part in ("kubelet", "controllers", "scheduler"):
            self._spawn(part, known)
        self._wait(api.node_ready, "a ready node")
        tell("the node is ready")

    def _import_images(self, recipes: Sequence[images.Recipe]) -> None:
        known = self._facts()
        missing = [recipe for recipe in recipes if recipe.file not in known.images]
        if not missing:
            return
        # Not more at once: on two cores they would only slow each other.
        with ThreadPoolExecutor(2) as pool:
            pending = [
                pool.submit(self._import_image, recipe, path) for recipe, path in images.obtain_all(missing)
            ]
            for done in pending:
                done.result()
        have = (*known.images, *(recipe.file for recipe in missing))
        replace(known, images=have).write(self.layout.facts)

    def _import_image(self, recipe: images.Recipe, path: Path) -> None:
        command: list[str | Path] = ["ctr", "--address", self.layout.cri_socket]
        command += ["--namespace", "k8s.io", "images", "import"]
        command += ["--snapshotter", configuration.snapshotter(self.layout)]
        run([*command, path])
        tell(f"imported {', '.join(name.rsplit('/', 1)[1] for name in recipe.names)}")

    def _spawn(self, part: str, known: facts.Facts) -> None:
        layout = self.layout
        command = parts.command(part, layout, known.ports)
        processes.start(command, record=layout.record(part), log=layout.log(part))

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        started = [part for part in parts.NAMES if self.layout.record(part).exists()]

        def reached() -> bool:
            for part in started:
                # Raises with its log when it has ended, instead of waiting in vain.
                self.part(part)
            return condition()

        wait_until(reached, what, seconds=90, explain=lambda: self._tails(started))

    def _tails(self, names: Sequence[str]) -> str:
        return "\n".join(f"{name}'s log ends:\n{self._tail(name)}" for name in names)

    def _tail(self, part: str) -> str:
        return tail(self.layout.log(part))

    def _facts(self) -> facts.Facts:
        known = facts.read(self.layout.facts)
        if known is None:
            raise ClusterError("the node was not started here")
        return known


def _make_bridge() -> None:
    # The node needs an address that is not loopback; a bridge gives one without hardware.
    run(["ip", "link", "add", NODE_BRIDGE, "type", "bridge"])
    run(["ip", "address", "add", f"{NODE_ADDRESS}/24", "dev", NODE_BRIDGE])
    run(["ip", "link", "set", NODE_BRIDGE, "up"])


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    port = _FIRST_PORT
    while len(found) < count:
        with socket.socket() as trial:
            # As servers do, so that the last run's closing connections do not count.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if trial.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        port += 1
    return found

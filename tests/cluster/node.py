"""The node that is built on this machine: start, inspect and stop it. There is one per machine."""

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
from tests.cluster.errors import ClusterError, log_tail, print_progress, run, wait_until
from tests.cluster.layout import NODE, NODE_ADDRESS, NODE_BRIDGE, SERVICE_ADDRESS, Layout

# Below the kernel's ephemeral ports: while a test stops the API server, the local end of another
# connection must not occupy its port.
_FIRST_PORT = 16443


class Node:
    """The one node of this machine, whichever process started it."""

    def __init__(self, layout: Layout | None = None) -> None:
        self.layout = layout or Layout()

    @property
    def api_port(self) -> int:
        """The port of the API server on loopback."""
        return self._facts().ports.api

    def up(self, recipes: Sequence[images.Recipe] = images.RECIPES) -> None:
        """Start the node unless it is already running and healthy.

        Args:
            recipes: The images to import; by default all.
        """
        with cache.locked(self.layout.lock):
            if self._recovers():
                self._import_images(recipes)
                return
            self._prepare()
            # In parallel, because importing images takes longer than all other steps.
            with ThreadPoolExecutor(1) as pool:
                importing = pool.submit(self._import_images, recipes)
                self._start()
                importing.result()

    def down(self) -> None:
        """Stop the node and remove everything that it left."""
        with cache.locked(self.layout.lock):
            if leftovers.exist(self.layout):
                leftovers.remove(self.layout)
                print_progress("stopped")

    def import_images(self, recipes: Sequence[images.Recipe]) -> None:
        """Import images into the running node; build those that are not in the cache."""
        with cache.locked(self.layout.lock):
            self._import_images(recipes)

    def healthy(self) -> bool:
        """Return whether all parts of this version are running and pods can be scheduled."""
        if not self._all_run():
            return False
        api = Api(self.layout, self.api_port)
        return api.ready() and api.node_ready()

    def status(self) -> dict[str, str]:
        """Return the state of each part: running, paused or down."""
        states = dict.fromkeys(parts.NAMES, "down")
        for part, process in leftovers.running(self.layout).items():
            states[part] = "paused" if process.state() == "T" else "running"
        return states

    def part(self, name: str) -> processes.Process:
        """Return the process of a running part.

        Raises:
            ClusterError: The part is not running.
        """
        process = leftovers.running(self.layout).get(name)
        if process is None:
            raise ClusterError(f"{name} is not running; its log ends:\n{self._tail(name)}")
        return process

    def stop_api_server(self) -> None:
        """Kill the API server, as in an outage: all connections break at once."""
        processes.end([self.part("api-server")])

    def start_api_server(self) -> None:
        """Start the API server on the same port as before, and wait until it answers."""
        known = self._facts()
        self._spawn("api-server", known)
        self._wait(Api(self.layout, known.ports.api).ready, "an answer of the API server")

    def _all_run(self) -> bool:
        known = facts.read(self.layout.facts)
        if known is None or known.program != program.name(program.version()):
            return False
        running = set(self.status().values()) == {"running"}
        return running and self.layout.kubeconfig.exists()

    def _recovers(self) -> bool:
        # A node under load misses heartbeats. Do not restart it while other processes run tests on it.
        if not self._all_run():
            return False
        try:
            wait_until(lambda: self.healthy() or not self._all_run(), "a healthy node", seconds=30)
        except ClusterError as error:
            print_progress(f"{error}: restarting it")
            return False
        return self._all_run()

    def _prepare(self) -> None:
        layout = self.layout
        executable = program.obtain(program.version())
        kubectl = program.obtain(program.DEFAULT_VERSION)  # the tests use its newer commands and formats
        if leftovers.exist(layout):
            print_progress("removing what is left of an earlier run")
            leftovers.remove(layout)
        print_progress("starting the node")
        layout.root.mkdir(mode=0o700, parents=True)
        for name in ("bin", "config", "logs", "processes"):
            (layout.root / name).mkdir()
        layout.program.symlink_to(executable)
        (layout.bin / "kubectl").symlink_to(kubectl)
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
        print_progress("the API server answers")
        for part in ("kubelet", "controllers", "scheduler"):
            self._spawn(part, known)
        self._wait(api.node_ready, "a ready node")
        print_progress("the node is ready")

    def _import_images(self, recipes: Sequence[images.Recipe]) -> None:
        known = self._facts()
        missing = [recipe for recipe in recipes if recipe.file not in known.images]
        if not missing:
            return
        # More imports at a time would only slow each other down on two cores.
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
        print_progress(f"imported {', '.join(name.rsplit('/', 1)[1] for name in recipe.names)}")

    def _spawn(self, part: str, known: facts.Facts) -> None:
        layout = self.layout
        command = parts.command(part, layout, known.ports)
        processes.start(command, record=layout.record(part), log=layout.log(part))

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        started = [part for part in parts.NAMES if self.layout.record(part).exists()]

        def reached() -> bool:
            for part in started:
                # If the part has ended, raise an error with its log instead of waiting for the timeout.
                self.part(part)
            return condition()

        wait_until(reached, what, seconds=90, explain=lambda: self._tails(started))

    def _tails(self, names: Sequence[str]) -> str:
        return "\n".join(f"{name}'s log ends:\n{self._tail(name)}" for name in names)

    def _tail(self, part: str) -> str:
        return log_tail(self.layout.log(part))

    def _facts(self) -> facts.Facts:
        known = facts.read(self.layout.facts)
        if known is None:
            raise ClusterError("the node was not started here")
        return known


def _make_bridge() -> None:
    # The node needs an address other than loopback. A bridge provides one without hardware.
    run(["ip", "link", "add", NODE_BRIDGE, "type", "bridge"])
    run(["ip", "address", "add", f"{NODE_ADDRESS}/24", "dev", NODE_BRIDGE])
    run(["ip", "link", "set", NODE_BRIDGE, "up"])


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    port = _FIRST_PORT
    while len(found) < count:
        with socket.socket() as trial:
            # Servers use this option too: connections of the last run that are still closing do not block the port.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if trial.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        port += 1
    return found

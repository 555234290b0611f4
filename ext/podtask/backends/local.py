"""The local backend: the same runner and frames in a process on this machine, no cluster."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, BinaryIO, TypeVar

from ..manifest.labels import MANAGED_BY
from ..manifest.pod_manifest import PodManifest
from ..runner.bundle import boot_program
from ..runner.log_lines import cell_output
from ..template.pod_document import DEFAULT_CONTAINER
from .base import ByteStream, Phase, RunnerListener, Snapshot, StopReason, Termination

T = TypeVar("T")
KILL_AFTER_SECONDS = 1.0  # after the second SIGTERM
IGNORED_FIELDS = {
    "initContainers": "init containers",
    "volumes": "volumes",
    "imagePullSecrets": "image pull secrets",
    "serviceAccountName": "service account",
    "nodeSelector": "node selector",
    "affinity": "affinity",
    "tolerations": "tolerations",
    "securityContext": "security context",
}
REFERENCE = re.compile(r"\$\$|\$\(([^()]*)\)")
# Fields that every pod has, or that have a meaning on this machine, too.
SUPPORTED_SPEC_FIELDS = {
    "containers",
    "restartPolicy",
    "enableServiceLinks",
    "automountServiceAccountToken",
    "activeDeadlineSeconds",
    "terminationGracePeriodSeconds",
}
SUPPORTED_CONTAINER_FIELDS = {
    "name",
    "image",
    "command",
    "args",
    "env",
    "envFrom",
    "resources",
    "volumeMounts",
    "terminationMessagePolicy",
}


class SocketStream:
    """A TCP connection as a ByteStream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> bytes:
        """Return the next bytes, empty at the end."""
        return await self._reader.read(1 << 20)

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        with contextlib.suppress(OSError):  # the connection was broken before
            await self._writer.wait_closed()


class LocalProcess:
    """One runner in a child process."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int, log: BinaryIO) -> None:
        self.name = name
        self.transport = "local"
        self.url = f"process {process.pid} on this machine"
        self._process = process
        self._port = port
        self._log = log
        self._text = b""
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = self._loop.create_future()
        # asyncio's subprocess is not used: its terminate() may steal the exit code from its own watcher.
        threading.Thread(target=self._wait, name=name, daemon=True).start()

    def _wait(self) -> None:
        code = self._process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._exit.set_result, code)

    @classmethod
    async def start(cls, manifest: PodManifest, listener: RunnerListener) -> LocalProcess:
        """Start the runner on an inherited listening socket."""
        server = socket.create_server(("127.0.0.1", 0))
        log = tempfile.TemporaryFile()
        with server:
            fd = server.fileno()
            env = {
                **os.environ,
                **template_env(manifest),
                "PODTASK_KEY": manifest.key,
                "PODTASK_LOCK": manifest.lock,
                "PODTASK_PORT": f"fd:{fd}",
                "PODTASK_WAIT": manifest.env["PODTASK_WAIT"],
            }
            command = [sys.executable, "-I", "-c", boot_program()]
            process = await asyncio.to_thread(
                subprocess.Popen,
                command,
                env=env,
                pass_fds=[fd],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            port = server.getsockname()[1]
        listener.on_phase(Phase("Running", "on this machine"))
        return cls(manifest.name, process, port, log)

    async def connect(self, handshake: Callable[[ByteStream], Awaitable[T]]) -> T:
        """Connect; the socket has been listening since before the process started.

        Raises:
            OSError: Nothing listens any more, or the process that does is not the runner.
        """
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
            stream = SocketStream(reader, writer)
            try:
                return await handshake(stream)
            except (ConnectionResetError, BrokenPipeError):
                # The runner limits the time of a handshake, and then waits for the next client. This
                # process may have been suspended meanwhile, as a closed laptop is.
                await stream.close()
            except BaseException:  # also when cancelled: nothing else closes this stream
                await stream.close()
                raise

    async def wait_until_ended(self) -> Termination:
        """Wait for the process."""
        code = await asyncio.shield(self._exit)
        lines = (await self.logs(None)).strip().splitlines()[-3:]
        last = f" Its last lines: {' | '.join(lines)}" if lines else ""
        return Termination(
            f"The local runner ended with exit code {code}.{last}", "Run the cell again.", code
        )

    async def delete(self, grace: float | None = None) -> None:
        """End the process: two SIGTERMs, so that it ends the cell's process, then SIGKILL."""
        for seconds in (5 if grace is None else grace, KILL_AFTER_SECONDS):
            if not self._exit.done():
                self._process.terminate()
                await asyncio.wait([self._exit], timeout=seconds)
        if not self._exit.done():
            self._process.kill()
            await self._exit
        if not self._log.closed:
            self._text = self._read()
            self._log.close()

    def release(self) -> None:
        """End the process as well: no other kernel can find it."""
        if not self._exit.done():
            self._process.terminate()

    async def delete_read_secrets(self) -> None:
        """Do nothing: a local runner has no Secrets."""

    async def stop_reason(self) -> StopReason:
        """Return nothing: the reason is unknown."""
        return StopReason()

    async def drain_notes(self) -> None:
        """Do nothing: a local runner has no sidecars."""

    async def why(self) -> str:
        """Return whether the process runs."""
        code = self._process.poll()
        return "Running on this machine" if code is None else f"ended with exit code {code}"

    async def events(self) -> list[dict[str, Any]]:
        """Return an empty list: a local process has no events."""
        return []

    async def snapshot(self) -> Snapshot:
        """Return an empty snapshot: a local process has no events and no sidecars."""
        return Snapshot()

    async def logs(self, container: str | None) -> str:
        """Return the output of the runner, with the first 3 MiB of the cell's."""
        return cell_output((await self.whole_log()).decode("utf-8", "replace"))

    async def whole_log(self) -> bytes:
        """Return the output of the runner as bytes."""
        return self._text if self._log.closed else self._read()

    def _read(self) -> bytes:
        self._log.seek(0)
        return self._log.read()


def template_env(manifest: PodManifest) -> dict[str, str]:
    """Return the plain environment variables that the template sets in the primary container.

    As the kubelet does, replace references to the entries before each one.
    """
    env: dict[str, str] = {}
    for entry in manifest.primary_container["env"]:
        if "valueFrom" not in entry and not entry["name"].startswith("PODTASK_"):
            env[entry["name"]] = _expand(str(entry.get("value", "")), env)
    return env


def _expand(text: str, env: Mapping[str, str]) -> str:
    """Return a text with the values of the variables that it refers to as ``$(NAME)``; ``$$`` is ``$``."""
    return REFERENCE.sub(
        lambda match: "$" if match[0] == "$$" else env.get(match[1], match[0]),
        text,
    )


def ignored_parts(manifest: PodManifest) -> list[str]:
    """Return the parts of the template that are ignored on this machine, in words."""
    spec = manifest.pod["spec"]
    ignored = []
    sidecars = [c["name"] for c in spec["containers"] if c["name"] != manifest.primary]
    if sidecars:
        ignored.append(f"sidecar{'s' if len(sidecars) > 1 else ''} {', '.join(sidecars)}")
    ignored += [words for key, words in IGNORED_FIELDS.items() if spec.get(key)]
    ignored += [key for key in spec if spec[key] and key not in IGNORED_FIELDS.keys() | SUPPORTED_SPEC_FIELDS]
    primary = manifest.primary_container
    if primary.get("resources"):
        ignored.append("resources")
    if any("valueFrom" in entry for entry in primary["env"]) or primary.get("envFrom"):
        ignored.append("environment from secrets and config maps")
    ignored += [f"{key} of the container" for key in primary if key not in SUPPORTED_CONTAINER_FIELDS]
    ours = ("podtask/", MANAGED_BY, DEFAULT_CONTAINER)
    for kind in ("labels", "annotations"):
        if not all(key.startswith(ours) for key in manifest.pod["metadata"][kind]):
            ignored.append(kind)
    return ignored

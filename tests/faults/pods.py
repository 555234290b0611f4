"""The pods of a scripted cluster, kept in memory; the runner of a pod is a process on this machine."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import os
import shutil
import signal
import socket
import sys
import tempfile
import uuid
from collections import deque
from pathlib import Path
from typing import Any

from podtask.manifest.labels import CELL_VOLUME

STAMP = "2026-01-01T00:00:00Z"
LAST_VERSION = 10**9
Object = dict[str, Any]


class Pods:
    """The pods of one namespace, their resource versions and their events.

    Attributes:
        found: Existing pods, by name.
        history: (version, type of event, pod) of all changes.
        events: Events of the cluster, as core/v1 Events.
        secrets: Existing Secrets, by name.
        peak: Largest number of pods that existed at the same time.
        ports: Port of this machine on which the runner of a pod listens, by name of the pod.
    """

    def __init__(self) -> None:
        self.found: dict[str, Object] = {}
        self.history: list[tuple[int, str, Object]] = []
        self.events: list[Object] = []
        self.logs: dict[str, bytes] = {}
        self.rotated: dict[str, int] = {}  # bytes of a log that were rotated away
        self.state_changed = asyncio.Condition()
        self.version = 100
        self.peak = 0
        self.ports: dict[str, int] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._started: list[asyncio.subprocess.Process] = []
        self._ended: dict[str, asyncio.Event] = {}
        self._folders: dict[str, str] = {}
        self.secrets: dict[str, Object] = {}

    async def add(self, sent: Object) -> Object:
        """Store a new pod and return it as the server shows it."""
        pod = copy.deepcopy(sent)
        pod["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": STAMP}
        pod["status"] = {"phase": "Pending"}
        name = pod["metadata"]["name"]
        self.found[name] = pod
        self._ended[name] = asyncio.Event()
        self.peak = max(self.peak, len(self.found))
        await self._happened("ADDED", pod)
        return copy.deepcopy(pod)

    async def set(self, name: str, **status: Any) -> None:
        """Change a pod's status unless the pod is gone."""
        pod = self.found.get(name)
        if pod is not None:
            pod["status"] |= status
            await self._happened("MODIFIED", pod)

    async def assign_node(self, name: str) -> None:
        """Schedule a pod on the node."""
        self.found[name]["spec"]["nodeName"] = "node"
        await self._happened("MODIFIED", self.found[name])

    async def delete(self, name: str, grace: float = 5) -> None:
        """Mark a pod as terminating, end its process as the kubelet does, and remove the pod."""
        pod = self.found[name]
        if not grace:
            await self.remove(name)
            return
        if "deletionTimestamp" in pod["metadata"]:
            return
        pod["metadata"]["deletionTimestamp"] = STAMP
        await self._happened("MODIFIED", pod)
        if self._terminate(name):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ended[name].wait(), grace)
        await self.remove(name)

    async def evict(self, name: str) -> None:
        """Mark a pod as disrupted and terminating, and end its process; whoever owns the pod removes it."""
        disruption = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
        self.found[name]["metadata"]["deletionTimestamp"] = STAMP
        await self.set(name, conditions=[disruption])
        self._terminate(name)

    def _terminate(self, name: str) -> bool:
        """Ask the process of a pod to end; return whether it was running."""
        process = self._processes.get(name)
        if process is None or process.returncode is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        return True

    async def remove(self, name: str) -> None:
        """Remove a pod immediately and kill its processes."""
        self.kill(name)
        pod = self.found.pop(name, None)
        if pod is not None:
            self.collect(pod)
            await self._happened("DELETED", pod)

    def kill(self, name: str) -> None:
        """Kill the processes of a pod."""
        if name in self._processes:
            _kill(self._processes[name])

    async def start(self, *words: str, **options: Any) -> asyncio.subprocess.Process:
        """Start a Python program whose output is a pipe; `close` ends it, even if the caller is cancelled before."""
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                sys.executable, *words, start_new_session=True, stdout=asyncio.subprocess.PIPE, **options
            )
        )
        starting.add_done_callback(self._remember)
        return await asyncio.shield(starting)

    def _remember(self, starting: asyncio.Future[asyncio.subprocess.Process]) -> None:
        if not starting.cancelled() and starting.exception() is None:
            self._started.append(starting.result())

    async def run(self, name: str) -> int:
        """Run the command of the primary container to its end; return its exit code."""
        primary = primary_of(self.found[name])
        env = {each["name"]: each.get("value", "") for each in primary["env"]}
        command = primary["command"][1:]
        mounts = [each for each in primary.get("volumeMounts", []) if each["name"] == CELL_VOLUME]
        for mount in mounts:
            self._folders[name] = folder = tempfile.mkdtemp(prefix="podtask-")
            command = [word.replace(f"{mount['mountPath']}/", f"{folder}/") for word in command]
            self.write_files(name)
        self.ports[name] = _free_port(int(env["PODTASK_PORT"]))
        env |= {"PATH": os.environ["PATH"], "HOME": "/tmp", "PODTASK_PORT": str(self.ports[name])}
        process = await self.start(
            *command,
            env=env,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._processes[name] = process
        await self.set(name, **running(primary["name"]))
        assert process.stdout is not None
        last: deque[bytes] = deque(maxlen=1000)
        async for line in process.stdout:
            last.append(line)
            self.logs[name] = self.logs.get(name, b"") + line
            async with self.state_changed:
                self.state_changed.notify_all()
        code = await process.wait()
        self._ended[name].set()
        async with self.state_changed:
            self.state_changed.notify_all()
        return code

    def write_files(self, name: str) -> None:
        """Write the files of the volume that brings the cell, if its pod runs, as the kubelet does."""
        folder = self._folders.get(name)
        if folder is None:
            return
        meta, spec = self.found[name]["metadata"], self.found[name]["spec"]
        volume = next(each for each in spec["volumes"] if each["name"] == CELL_VOLUME)
        for item in volume.get("downwardAPI", {}).get("items", []):
            annotation = item["fieldRef"]["fieldPath"].split("'")[1]
            Path(folder, item["path"]).write_text(meta["annotations"][annotation])
        for source in volume.get("projected", {}).get("sources", []):
            secret = self.secrets.get(source["secret"]["name"])
            if secret is None:
                continue
            for item in source["secret"]["items"]:
                Path(folder, item["path"]).write_bytes(base64.b64decode(secret["data"][item["key"]]))

    def collect(self, owner: Object) -> None:
        """Delete the Secrets that an object has owned alone, and remove it from the owners of others: it is gone."""
        for secret in [each for each in self.secrets.values() if is_owned(each, owner)]:
            self.change_secret(secret, [{"$patch": "delete", "uid": owner["metadata"]["uid"]}])
            if not secret["metadata"]["ownerReferences"]:
                del self.secrets[secret["metadata"]["name"]]

    def add_secret(self, secret: Object) -> None:
        """Store a Secret, and give it to the pods that mount it."""
        self.secrets[secret["metadata"]["name"]] = secret
        secret["metadata"]["uid"] = str(uuid.uuid4())
        self.change_secret(secret, [])
        for name in self._folders.keys() & self.found.keys():
            self.write_files(name)

    def change_secret(self, secret: Object, owners: list[Object], **annotations: str) -> None:
        """Merge owners and annotations into those of a Secret, as a strategic merge patch does; it gets a new version."""
        meta = secret["metadata"]
        meta["annotations"] = {**meta.get("annotations", {}), **annotations}
        kept = {each["uid"]: each for each in meta["ownerReferences"]}
        for owner in owners:
            if owner.get("$patch") == "delete":
                kept.pop(owner["uid"], None)
            else:
                kept[owner["uid"]] = owner
        self.version += 1
        meta |= {"ownerReferences": list(kept.values()), "resourceVersion": version_text(self.version)}

    async def delete_secret(self, name: str) -> None:
        """Delete a Secret, if it exists."""
        self.secrets.pop(name, None)
        await self.notify()

    async def notify(self) -> None:
        """Wake up those who wait for a change."""
        async with self.state_changed:
            self.state_changed.notify_all()

    def has_ended(self, name: str) -> bool:
        """Return whether the processes of a pod have ended."""
        return self._ended[name].is_set()

    def rotate(self, name: str, line: bytes) -> None:
        """Drop the lines of a log before a given line, as a log rotation does."""
        lost = self.logs[name].index(line)
        self.logs[name] = self.logs[name][lost:]
        self.rotated[name] = self.rotated.get(name, 0) + lost

    async def report(self, name: str, reason: str, message: str, **more: Any) -> None:
        """Add an event about a pod."""
        meta = self.found[name]["metadata"]
        self.version += 1
        about = {"kind": "Pod", "name": name, "uid": meta["uid"]}
        event = {
            "metadata": {
                "uid": str(uuid.uuid4()),
                "name": f"{name}.{self.version:016x}",
                "resourceVersion": version_text(self.version),
                "creationTimestamp": STAMP,
            },
            "involvedObject": about,
            "reason": reason,
            "message": message,
            "type": "Warning",
            "lastTimestamp": STAMP,
        }
        self.events.append({**event, **more})

    async def close(self) -> None:
        """Kill every running process, and wait for its end."""
        for process in self._started:
            _kill(process)
        for process in self._started:
            await process.wait()
        for folder in self._folders.values():
            shutil.rmtree(folder)

    async def _happened(self, kind: str, pod: Object) -> None:
        self.version += 1
        pod["metadata"]["resourceVersion"] = version_text(self.version)
        self.history.append((self.version, kind, copy.deepcopy(pod)))
        async with self.state_changed:
            self.state_changed.notify_all()


def is_owned(found: Object, owner: Object) -> bool:
    """Return whether an object is deleted with another one."""
    owners = found["metadata"].get("ownerReferences", [])
    return owner["metadata"]["uid"] in [each["uid"] for each in owners]


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill a program and its children."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _free_port(first: int) -> int:
    """Return the first port that the runner can listen on.

    A pod has its ports to itself. On this machine, connections of an ended runner occupy its port for a minute.
    """
    for port in range(first, first + 1000):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
    raise OSError(f"1,000 ports from {first} are in use")


def version_text(number: int) -> str:
    """Return a resource version: clients may compare such texts for equality only."""
    return f"v{LAST_VERSION - number}"


def version_number(text: str) -> int:
    """Return the number of a resource version; 0 if there is none."""
    return LAST_VERSION - int(text[1:]) if text else 0


def primary_of(pod: Object) -> Object:
    """Return the container that has the key of the task."""
    for container in pod["spec"]["containers"]:
        if any(each["name"] == "PODTASK_KEY" for each in container.get("env", [])):
            return dict(container)
    raise LookupError("no container is ours")


def running(name: str) -> Object:
    """Return the status of a pod with a running primary container."""
    return {
        "phase": "Running",
        "conditions": [{"type": "ContainersReady", "status": "True"}, {"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": name, "restartCount": 0, "state": {"running": {"startedAt": STAMP}}}],
    }


def ended(name: str, code: int, reason: str = "") -> Object:
    """Return the status of a pod with a terminated primary container."""
    done = {"exitCode": code, "reason": reason or ("Error" if code else "Completed")}
    return {
        "phase": "Failed" if code else "Succeeded",
        "containerStatuses": [{"name": name, "restartCount": 0, "state": {"terminated": done}}],
    }

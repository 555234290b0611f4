"""A scripted API server: real HTTP and WebSocket, with faults that a real server does not produce on demand.

``python -m tests.faults.server SCRIPT`` serves until it is interrupted and prints the path of a
kubeconfig; ``--list`` prints the scripts. Cells then run as processes on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import re
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from . import logs
from .jobs import Jobs
from .names import SCRIPTS
from .pods import Pods, version_text
from .scripts import Script, is_create, refused
from .streams import Forwards, execute, selector, watch

NAMESPACE = re.compile(r"/api/v1/namespaces/[^/]+")
SECRET = re.compile(r"/api/v1/namespaces/[^/]+/secrets(?:/(?P<name>[^/]+))?$")
JOB = re.compile(r"/apis/batch/v1/namespaces/[^/]+/jobs(?:/(?P<name>[^/]+))?$")
POD = re.compile(r"/api/v1/namespaces/[^/]+/pods/(?P<name>[^/]+)(?:/(?P<part>\w+))?$")


class Server:
    """Scripted API server that runs in a separate thread until it is closed.

    Args:
        script: Script with the fault.
        folder: Folder that receives the kubeconfig.

    Attributes:
        asked: (method, path, query) of each request, in order.
        created: Times of the requests to create a pod (monotonic).
    """

    def __init__(self, script: Script, folder: Path) -> None:
        self.script = script
        self.kubeconfig = folder / "kubeconfig"
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.created: list[float] = []
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="api-server", daemon=True)
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread.start()
        assert self._ready.wait(30)

    def close(self) -> None:
        """Stop the server and the processes of its pods."""
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def count(self, method: str, end: str, **query: str) -> int:
        """Return the number of requests with a method, the end of a path, and parts of a query."""
        return sum(
            verb == method and path.endswith(end) and query.items() <= given.items()
            for verb, path, given in self.asked
        )

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())
        self.loop.run_until_complete(_end_other_tasks())
        self.loop.run_until_complete(
            self.pods.close()
        )  # last: a task that has ended may have left its process
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    async def _serve(self) -> None:
        self.pods, self.forwards = Pods(), Forwards()
        self.jobs = self.script.jobs = Jobs(self.pods)
        self.script.pods, self.script.forwards = self.pods, self.forwards
        self._lives: set[asyncio.Task[None]] = set()
        app = web.Application(client_max_size=8 << 20)
        app.router.add_route("*", "/{any:.*}", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._write(runner.addresses[0][1])
        self._ready.set()
        await self._stop.wait()
        for life in self._lives:
            life.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)
        await runner.cleanup()

    def _write(self, port: int) -> None:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "scripted",
            "users": [{"name": "u", "user": {"token": "t"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "contexts": [{"name": "scripted", "context": {"cluster": "c", "user": "u", "namespace": "n"}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path, dict(request.query)))
        if is_create(request):
            self.created.append(time.monotonic())
        task = asyncio.current_task()
        assert task is not None
        self._lives.add(task)  # nothing else ends a watch
        task.add_done_callback(self._lives.discard)
        return await self.script.answer(request, self._answer)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        """Respond as a healthy server does."""
        path, method = request.path, request.method
        if path.endswith("/pods"):
            return await (self._create(request) if method == "POST" else self._list(request, self.pods))
        if path.endswith("/events"):
            return await self._events(request)
        secret = SECRET.match(path)
        if secret is not None:
            return await self._secret(request, secret["name"])
        job = JOB.match(path)
        if job is not None:
            return await self._job(request, job["name"])
        found = POD.match(path)
        if found is None:
            return self._answer_elsewhere(path)
        if found["name"] not in self.pods.found:
            return refused(404, f'pods "{found["name"]}" not found', "NotFound")
        return await (
            self._delete(request, found["name"]) if method == "DELETE" else self._pod(request, found)
        )

    async def _secret(self, request: web.Request, name: str | None) -> web.StreamResponse:
        """Create, read, change or delete a Secret."""
        sent = await request.json() if request.can_read_body else {}
        if request.method == "POST":
            if sent["metadata"]["name"] in self.pods.secrets:
                return refused(409, f'secrets "{sent["metadata"]["name"]}" already exists', "AlreadyExists")
            self.pods.add_secret(sent)
            await self.pods.notify()
            return web.json_response(sent, status=201)
        found = self.pods.secrets.get(name or "")
        if found is None:
            return refused(404, f'secrets "{name}" not found', "NotFound")
        wanted = sent.get("preconditions", sent.get("metadata", {})).get("resourceVersion")
        if wanted not in (None, found["metadata"]["resourceVersion"]):
            return refused(409, f'Operation cannot be fulfilled on secrets "{name}"', "Conflict")
        if request.method == "DELETE":
            await self.pods.delete_secret(name or "")
        if request.method == "PATCH":
            meta = sent["metadata"]
            if meta:
                self.pods.change_secret(found, meta.get("ownerReferences", []), **meta.get("annotations", {}))
                await self.pods.notify()
            return web.json_response({"metadata": found["metadata"]})
        return web.json_response(found)

    async def _job(self, request: web.Request, name: str | None) -> web.StreamResponse:
        """Create, list, read or delete Jobs."""
        if request.method == "POST":
            sent = await request.json()
            if sent["metadata"]["name"] in self.jobs.found:
                return refused(
                    409, f'jobs.batch "{sent["metadata"]["name"]}" already exists', "AlreadyExists"
                )
            job = await self.jobs.add(sent)
            self._live(self.jobs.run(job["metadata"]["name"], self.script.live))
            return web.json_response(job, status=201)
        if name is None:
            return await self._list(request, self.jobs)
        if name not in self.jobs.found:
            return refused(404, f'jobs.batch "{name}" not found', "NotFound")
        found = self.jobs.found[name]
        if request.method == "DELETE":
            self._live(self.jobs.delete(name))
        return web.json_response(found)

    async def _pod(self, request: web.Request, found: re.Match[str]) -> web.StreamResponse:
        """Respond with a pod, its log, or a stream to it."""
        name = found["name"]
        if found["part"] == "portforward":
            reach = functools.partial(self.script.reach, name)
            return await self.forwards.serve(request, reach, self.script.on_data)
        if found["part"] == "exec":
            return await execute(request, self.pods)
        if found["part"] == "log":
            if request.query.get("follow") == "true":
                send_line = functools.partial(self.script.log_line, name)
                return await logs.follow(request, self.pods, name, send_line)
            return logs.whole(request, self.pods, name)
        return web.json_response(self.pods.found[name])

    async def _delete(self, request: web.Request, name: str) -> web.StreamResponse:
        options, pod = await request.json(), self.pods.found[name]
        uid, wanted = pod["metadata"]["uid"], options.get("preconditions", {}).get("uid")
        if wanted not in (None, uid):
            message = f"the UID in the precondition ({wanted}) does not match the UID in record ({uid})"
            return refused(409, f'Operation cannot be fulfilled on pods "{name}": {message}', "Conflict")
        self._live(self.pods.delete(name, options.get("gracePeriodSeconds", 5)))
        return web.json_response(pod)

    def _answer_elsewhere(self, path: str) -> web.StreamResponse:
        """Respond to a request that is not about pods."""
        if path.endswith("/selfsubjectreviews"):
            return web.json_response({"status": {"userInfo": {"username": self.script.username}}}, status=201)
        if path.endswith("/selfsubjectaccessreviews"):
            return web.json_response({"status": {"allowed": True}}, status=201)
        if NAMESPACE.fullmatch(path):
            return web.json_response({"metadata": {"name": "n"}})
        return web.json_response({"gitVersion": "v1.35.0"})

    async def _create(self, request: web.Request) -> web.StreamResponse:
        sent = await request.json()
        if request.query.get("dryRun"):
            sent["metadata"]["namespace"] = "n"
            return web.json_response(sent, status=201)
        name = sent["metadata"]["name"]
        if name in self.pods.found:
            return refused(409, f'pods "{name}" already exists', "AlreadyExists")
        pod = await self.pods.add(sent)
        self._live(self.script.live(name))
        return web.json_response(pod, status=201)

    async def _list(self, request: web.Request, objects: Pods | Jobs) -> web.StreamResponse:
        if request.query.get("watch"):
            return await watch(request, objects, self.script.changes)
        selects = selector(request.query.get("labelSelector", ""))
        items = [each for each in objects.found.values() if selects(each)]
        phase = request.query.get("fieldSelector", "").removeprefix("status.phase=")
        items = [each for each in items if not phase or each["status"]["phase"] == phase]
        version = version_text(self.pods.version)
        return web.json_response({"metadata": {"resourceVersion": version}, "items": items})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        field, _, value = request.query.get("fieldSelector", "").partition("=")
        part = field.rpartition(".")[2]
        items = [each for each in self.pods.events if not field or each["involvedObject"][part] == value]
        if request.query.get("watch"):
            items = []
            await self._stop.wait()
        return web.json_response({"metadata": {"resourceVersion": version_text(1)}, "items": items})

    def _live(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._lives.add(task)
        task.add_done_callback(self._lives.discard)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.server", description=__doc__)
    parser.add_argument("script", nargs="?", default="plain", choices=SCRIPTS)
    parser.add_argument("--list", action="store_true", help="name the scripts")
    chosen = parser.parse_args()
    if chosen.list:
        for name, made in SCRIPTS.items():
            print(f"{name:20}{(made.__doc__ or '').splitlines()[0]}")
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the processes of the pods
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(Server(SCRIPTS[chosen.script](), Path(folder))) as server,
        contextlib.suppress(KeyboardInterrupt),
    ):
        print(f"export KUBECONFIG={server.kubeconfig}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()


async def _end_other_tasks() -> None:
    """End the requests that are still served, and let their connections close."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)

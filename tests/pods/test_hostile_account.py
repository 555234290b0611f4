"""Accounts with some rights in the namespace try what SECURITY.md says they cannot do."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import hashlib
import itertools
import json
import uuid
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from podtask.channel.handshake import Handshake
from podtask.channel.proof import prove
from podtask.cluster.client import Api
from podtask.cluster.credentials import load_access
from podtask.cluster.events import PAGE_EVENTS
from podtask.cluster.exec import PROTOCOLS, STDOUT, Exec
from podtask.cluster.paths import resource_path
from podtask.cluster.port_forward import PortForward
from podtask.cluster.refusals import ApiError
from podtask.config.options import RunOptions
from podtask.formatting import MAX_TEXT_CHARS
from podtask.manifest.identity import Identity
from podtask.manifest.render import render
from podtask.manifest.task_pod import TaskPod
from podtask.runner import protocol
from podtask.runner.supervisor.clients import MAX_FOLLOWERS
from podtask.runner.supervisor.connection import MAX_FOLLOWER_RECORD_BYTES, MAX_UNREAD_BYTES

from tests.local.test_hash_lock import OWNERS_FRAMES
from tests.local.test_hostile_client import ATTACH
from tests.notebook import Shell
from tests.pods.accounts import Accounts, rule
from tests.pods.waiting import IMAGE, submit, wait_for_input_request, wait_for_phase

pytestmark = [pytest.mark.cluster, pytest.mark.fault(84, 90), pytest.mark.feature("N28")]
RIGHTS = {
    "get": rule("pods", "get"),
    "list": rule("pods", "list"),
    "watch": rule("pods", "watch"),
    "log": rule("pods/log", "get"),
    "forward": rule("pods/portforward", "create", "get"),
    "exec": rule("pods/exec", "create", "get"),
    "attach": rule("pods/attach", "create", "get"),
    "ephemeral": rule("pods/ephemeralcontainers", "update", "patch"),
    "status": rule("pods/status", "update", "patch"),
    "change": rule("pods", "update", "patch"),
    "create": rule("pods", "create"),
    "delete": rule("pods", "delete"),
    "evict": rule("pods/eviction", "create"),
    "event": rule("events", "create"),
    "secrets": rule("secrets", "get", "list"),
    "config_maps": rule("configmaps", "get", "list"),
}
ACCOUNTS: list[tuple[str, ...]] = [(right,) for right in RIGHTS] + [*itertools.combinations(RIGHTS, 2)]
ATTEMPTS = [*RIGHTS, "follow"]  # names of methods of the attacker
CODE, INPUT, ENV, OUTPUT = (f"hostile-test-{what}" for what in ("code", "input", "env", "output"))
HELD = f"""
import os, threading  # {CODE}
answered = threading.Event()
def write():
    while not answered.wait(0.05):
        print("hostile-test" + "-output", flush=True)
writing = threading.Thread(target=write)
writing.start()
answer = f"{{input()}} {{given}} {{os.environ['TOKEN']}}"
answered.set()
writing.join()
answer
"""
HOSTILE_TEXT = "\x1b]0;owned\x07"
HOSTILE_SECRETS = (protocol.NOT_OWNER, "ef" * 32)
FLOOD_STREAMS = 2 * protocol.MAX_CONNECTIONS  # at the same time
MAX_FLOOD_GROWTH_BYTES = MAX_FOLLOWERS * MAX_UNREAD_BYTES  # of the runner; other connections keep a few KiB
GATED_POD = {"spec": {"schedulingGates": [{"name": "test/flood"}], "containers": []}}
MEASURED = """
import os
def runner_peak():
    with open(f"/proc/{os.getppid()}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))
before = runner_peak()
given = input()
given, runner_peak() - before
"""


@pytest.fixture
def accounts(
    pods: Shell,
    namespace: str,
    restricted_kubeconfig: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Accounts:
    """Return what makes accounts in the namespace of the test."""
    return Accounts(namespace, load_access(None), restricted_kubeconfig, monkeypatch)


async def authenticate(stream: PortForward, key: str) -> tuple[protocol.Seal, protocol.Seal, bytes]:
    """Prove that the key is known; return the seals of both sides, and what the runner has sent after its hello."""
    handshake = Handshake(bytes.fromhex(key), None)
    hello = await handshake.receive_hello(stream)
    await stream.send(handshake.reply_to(hello, b""))
    return *handshake.seals(hello), hello.rest


def attach_frame() -> bytes:
    """Return the frame with which another client attaches."""
    return protocol.encode(protocol.ATTACH, {**ATTACH, "client": uuid.uuid4().hex})


async def follow(
    api: Api, namespace: str, pod: TaskPod
) -> tuple[PortForward, protocol.Seal, protocol.Decoder, list[protocol.Frame]]:
    """Attach with the key alone and wait for the output; return the stream and what came."""
    stream = await api.forward(namespace, pod.name, pod.port)
    seal, runner_seal, rest = await authenticate(stream, pod.key)
    await stream.send(seal.record(attach_frame()))
    decoder = protocol.Decoder(runner_seal)
    frames = list(decoder.feed(rest))
    while not any(OUTPUT.encode() in frame.data for frame in frames):
        frames += decoder.feed(await asyncio.wait_for(stream.receive(), 30))
    return stream, seal, decoder, frames


async def send_as_follower(
    api: Api, namespace: str, pod: TaskPod, kind: int, meta: dict[str, Any]
) -> set[str]:
    """Follow, send a frame; return the codes of the runner's errors."""
    stream, seal, decoder, frames = await follow(api, namespace, pod)
    await stream.send(seal.record(protocol.encode(kind, meta)))
    while chunk := await asyncio.wait_for(stream.receive(), 30):
        frames += decoder.feed(chunk)
    await stream.close()
    return {str(frame.meta["code"]) for frame in frames if frame.kind == protocol.ERROR}


async def send_program(api: Api, namespace: str, pod: TaskPod, secret: str) -> None:
    """Send a program of one's own to a runner that waits for its notebook, until the runner closes the connection."""
    program = zlib.compress(b"print('hostile', flush=True)")
    stream = await api.forward(namespace, pod.name, pod.port)
    key = bytes.fromhex(pod.key)
    hello = await Handshake(key, None).receive_hello(stream)
    words = str(len(program)), hashlib.sha256(program).hexdigest(), secret
    line = " ".join((prove(key, "client", hello.challenge, *words), *words))
    with contextlib.suppress(OSError):  # the runner may have closed it before it has read all
        await stream.send(line.encode() + b"\n" + program)
        while await asyncio.wait_for(stream.receive(), 30):
            pass
    await stream.close()


@dataclass
class Attacker:
    """An account that tries everything on the task of somebody else.

    Args:
        api: Session of the account.
        namespace: Namespace of the task.
        pod: The pod of the task. The requests to change it begin with its current state, which such an account may
            have seen earlier; its key is only used if the account can read it now.
        key: The pod as the account has read it; None if it cannot.
    """

    api: Api
    namespace: str
    pod: TaskPod
    key: TaskPod | None = None

    @property
    def pods(self) -> str:
        return resource_path("pods", self.namespace)

    @property
    def path(self) -> str:
        return resource_path("pods", self.namespace, self.pod.name)

    async def get(self) -> None:
        self._read(await self.api.request("GET", self.path))

    async def list(self) -> None:
        listed = await self.api.request("GET", self.pods)
        self._read(next(each for each in listed["items"] if each["metadata"]["name"] == self.pod.name))

    async def watch(self) -> None:
        async with contextlib.aclosing(self.api.stream_lines(self.pods, watch="1")) as lines:
            async for line in lines:
                if (found := json.loads(line)["object"])["metadata"]["name"] == self.pod.name:
                    self._read(found)
                    return

    def _read(self, found: dict[str, Any]) -> None:
        assert not any(mark in json.dumps(found) for mark in (CODE, INPUT, ENV, OUTPUT))
        self.key = TaskPod(found)

    async def log(self) -> None:
        text = await self.api.text(f"{self.path}/log", container="primary")
        assert OUTPUT in text
        assert not any(mark in text for mark in (CODE, INPUT, ENV))

    async def attach(self) -> None:
        query = "container=primary&stdout=1&stderr=1"
        stream = Exec(await self.api._socket(f"{self.path}/attach?{query}", PROTOCOLS))
        assert OUTPUT.encode() in await asyncio.wait_for(stream.receive(), 30)
        await stream.close()

    async def exec(self) -> None:
        """Run code next to the cell, as its user: it may read the key and the memory of the runner."""
        command = ["cat", "/proc/1/environ"]
        process = await self.api.exec(self.namespace, self.pod.name, "primary", command)
        found = b"".join([data async for channel, data in process.output() if channel == STDOUT])
        assert self.pod.key.encode() in found
        await process.close()

    async def forward(self) -> None:
        """Without the key the runner closes the connection, and says nothing but a nonce and its Python."""
        stream = await self.api.forward(self.namespace, self.pod.name, self.pod.port)
        await stream.send(b"aa\n")
        hello = await asyncio.wait_for(stream.receive(), 30)
        await stream.send(f"{'0' * 64} 0 {'0' * 64} -\n".encode())
        assert await asyncio.wait_for(stream.receive(), 30) == b""
        assert len(hello.split()) == 4
        await stream.close()

    async def change(self) -> None:
        await self._put("", lambda pod: pod["spec"]["containers"][0].update(image="hostile"))

    async def ephemeral(self) -> None:
        extra = [{"name": "hostile", "image": IMAGE, "targetContainerName": "primary"}]
        await self._put("/ephemeralcontainers", lambda pod: pod["spec"].update(ephemeralContainers=extra))

    async def status(self) -> None:
        await self._put("/status", lambda pod: pod["status"].update(reason="Evicted"))

    async def _put(self, subresource: str, change: Callable[[dict[str, Any]], None]) -> None:
        pod = copy.deepcopy(self.pod.pod)
        del pod["metadata"]["resourceVersion"]
        change(pod)
        await self.api.request("PUT", f"{self.path}{subresource}", pod, dryRun="All")

    async def create(self) -> None:
        spec = {"containers": [{"name": "hostile", "image": IMAGE}]}
        pod = {"metadata": {"generateName": "hostile-"}, "spec": spec}
        await self.api.request("POST", self.pods, pod, dryRun="All")

    async def delete(self) -> None:
        await self.api.request("DELETE", self.path, {"dryRun": ["All"]})

    async def evict(self) -> None:
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": self.pod.name}}
        await self.api.request(
            "POST", f"{self.path}/eviction", {**eviction, "deleteOptions": {"dryRun": ["All"]}}
        )

    async def event(self) -> None:
        await self.api.request(
            "POST", resource_path("events", self.namespace), event_about(self.pod), dryRun="All"
        )

    async def secrets(self) -> None:
        await self._find_nothing("secrets")

    async def config_maps(self) -> None:
        await self._find_nothing("configmaps")

    async def _find_nothing(self, resource: str) -> None:
        """Check that podtask keeps nothing of a task in other objects."""
        found = json.dumps(await self.api.request("GET", resource_path(resource, self.namespace)))
        assert not any(mark in found for mark in (CODE, INPUT, ENV, OUTPUT, self.pod.key))

    async def follow(self) -> None:
        """With the key and a stream, the code and the output are open; the inputs and the environment are not."""
        if self.key is None:
            raise ApiError(403, {"message": "it does not know the key"})
        stream, _, _, frames = await follow(self.api, self.namespace, self.key)
        seen = "".join(f"{json.dumps(frame.meta)}{frame.data.decode('latin-1')}" for frame in frames)
        assert CODE in seen
        assert OUTPUT in seen
        assert INPUT not in seen
        assert ENV not in seen
        await stream.close()

    async def succeeds(self) -> set[str]:
        """Try everything; return what the API server and the runner let it do."""
        done = set()
        for name in ATTEMPTS:
            try:
                await getattr(self, name)()
            except ApiError as error:
                if error.code != 403:
                    raise
            else:
                done.add(name)
        return done


class Flood:
    """An account that keeps many streams to a runner open, and opens another one for each that is closed.

    Args:
        api: Session of the account.
        namespace: Namespace of the pod.
        pod: The pod, with the key of the task.
    """

    def __init__(self, api: Api, namespace: str, pod: TaskPod) -> None:
        self._open = functools.partial(api.forward, namespace, pod.name, pod.port)
        self._key = pod.key
        self._answered = 0
        self._is_over = False
        self._more = asyncio.Condition()

    async def wait_for_answers(self, count: int) -> None:
        """Wait until the runner has answered on this many more streams."""
        async with self._more:
            enough = self._answered + count
            await self._more.wait_for(lambda: self._answered >= enough)

    @contextlib.asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Open streams until the end of the block, in several kinds of attack."""
        heavy = self._send_half_a_record
        attacks = itertools.cycle(
            (heavy, self._say_nothing, heavy, self._send_half_a_line, heavy, self._follow)
        )
        attackers = [asyncio.create_task(self._repeat(next(attacks))) for _ in range(FLOOD_STREAMS)]
        try:
            yield
        finally:
            self._is_over = True  # a stream that is being opened may hide a cancellation behind its own error
            for each in attackers:
                each.cancel()
            ends = await asyncio.gather(*attackers, return_exceptions=True)
        assert not [each for each in ends if isinstance(each, Exception)]

    async def _repeat(self, attack: Callable[[PortForward], Awaitable[None]]) -> None:
        while not self._is_over:
            with contextlib.suppress(
                OSError
            ):  # the port is not open yet, or the runner has closed the stream
                stream = await self._open()
                try:
                    await attack(stream)
                    while await stream.receive():
                        pass
                finally:
                    await stream._socket.close()  # not in the background

    async def _say_nothing(self, stream: PortForward) -> None:
        """Open the stream only."""

    async def _send_half_a_line(self, stream: PortForward) -> None:
        await stream.send(b"half a line")

    async def _follow(self, stream: PortForward) -> None:
        seal = await self._authenticate(stream)
        await stream.send(seal.record(attach_frame()))

    async def _send_half_a_record(self, stream: PortForward) -> None:
        await self._authenticate(stream)
        size = MAX_FOLLOWER_RECORD_BYTES
        await stream.send(protocol.RECORD.pack(size) + bytes(size))  # without its tag

    async def _authenticate(self, stream: PortForward) -> protocol.Seal:
        seal, _, _ = await authenticate(stream, self._key)
        async with self._more:
            self._answered += 1
            self._more.notify_all()
        return seal


def event_about(pod: TaskPod, **fields: Any) -> dict[str, Any]:
    """Return an event about a pod, as anybody may write it who may create events."""
    metadata = pod.pod["metadata"]
    about = {"kind": "Pod", "apiVersion": "v1", "name": pod.name, "namespace": metadata["namespace"]}
    event = {"metadata": {"generateName": "hostile-"}, "involvedObject": {**about, "uid": metadata["uid"]}}
    return {**event, "type": "Warning", "reason": "Failed", "message": "forged", **fields}


def test_account_does_no_more_than_its_rights_allow(pods: Shell, accounts: Accounts, namespace: str) -> None:
    """Only with the key and a stream can it follow; it cannot interrupt, answer, release or run anything."""
    pods["given"] = INPUT
    ours = submit(None, HELD, outputs="answer", env=f"TOKEN={ENV}")
    while OUTPUT not in ours.logs():
        ours.updates.get(timeout=60)

    async def attack() -> None:
        async with accounts.sessions([RIGHTS[right] for right in rights] for rights in ACCOUNTS) as (
            admin,
            apis,
        ):
            path = resource_path("pods", namespace, ours.name)
            pod = TaskPod(await admin.request("GET", path))
            attackers = [Attacker(api, namespace, pod) for api in apis]
            found = await asyncio.gather(*(each.succeeds() for each in attackers))
            for rights, done in zip(ACCOUNTS, found, strict=True):
                follows = "forward" in rights and {*rights} & {"get", "list", "watch"}
                assert done == {*rights, *(["follow"] if follows else [])}
            [follower] = [
                each for rights, each in zip(ACCOUNTS, attackers, strict=True) if rights == ("get", "forward")
            ]
            for kind, meta in OWNERS_FRAMES.values():
                assert await send_as_follower(follower.api, namespace, pod, kind, meta) == {"owner"}

    asyncio.run(attack())
    assert not ours.done()
    ours.reply({"value": "from the owner"})
    assert ours.result(60) == f"from the owner {INPUT} {ENV}"


def test_account_that_forges_the_status_ends_the_task_at_most(
    pods: Shell, accounts: Accounts, namespace: str
) -> None:
    """No value of a forged end is accepted, no text of it controls a terminal, and invented containers are ignored."""
    ours = submit(None, "print('up')\ninput()", outputs="answer")
    while "up" not in ours.logs():
        ours.updates.get(timeout=60)

    async def attack() -> None:
        async with accounts.sessions([[RIGHTS["status"]]]) as (admin, [api]):
            path = resource_path("pods", namespace, ours.name)
            pod = await admin.request("GET", path)
            del pod["metadata"]["resourceVersion"]
            [primary] = statuses = pod["status"]["containerStatuses"]
            failed = {"terminated": {"exitCode": 1, "reason": HOSTILE_TEXT}}
            statuses += [{**primary, "name": f"invented-{n}", "state": failed} for n in range(100)]
            await api.request("PUT", f"{path}/status", pod)
            message = f'{{"status": "ok"}} {HOSTILE_TEXT}'
            primary["state"] = {"terminated": {"exitCode": 0, "reason": HOSTILE_TEXT, "message": message}}
            await api.request("PUT", f"{path}/status", pod)

    asyncio.run(attack())
    shown = [str(ours.exception(60))]
    while (update := ours.updates.get(timeout=60)).kind != "done":
        shown.append(update.text)
    assert "ended before its result was fetched" in shown[0]
    assert not any("invented" in text or "\x1b" in text for text in shown)
    assert max(map(len, shown)) < 2000
    assert ours.values == {}


def test_account_that_forges_events_fills_no_memory(pods: Shell, accounts: Accounts, namespace: str) -> None:
    """The events of a pod that waits are shown without their long texts and without what controls a terminal."""
    ours = submit({"spec": {"nodeSelector": {"hostile": "test"}, "containers": []}})
    wait_for_phase(ours, "Unschedulable")

    async def attack() -> None:
        async with accounts.sessions([[RIGHTS["event"]]]) as (admin, [api]):
            pod = TaskPod(await admin.request("GET", resource_path("pods", namespace, ours.name)))
            forged = event_about(pod, reason=HOSTILE_TEXT, message="x" * 200_000 + HOSTILE_TEXT)
            path = resource_path("events", namespace)
            await asyncio.gather(*(api.request("POST", path, forged) for _ in range(PAGE_EVENTS + 1)))

    asyncio.run(attack())
    events = ours.events()
    assert sum(each["reason"] == HOSTILE_TEXT for each in events) == PAGE_EVENTS + 1
    assert len(json.dumps(events)) < len(events) * 2 * MAX_TEXT_CHARS
    assert "\x1b" not in ours.why()
    ours.cancel()


def test_account_chooses_no_program(
    cluster: Any,
    namespace: str,
    restricted_kubeconfig: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A runner that waits for its notebook executes no program of a client without the owner's secret."""
    name = f"podtask-{uuid.uuid4().hex[:10]}"
    identity = Identity(name, uuid.uuid4().hex, uuid.uuid4().hex, 40126, kernel="gone")
    manifest = render(None, RunOptions.of(image=IMAGE)).stamped(identity)
    cluster.kubectl("create", "-n", namespace, "--filename=-", input=json.dumps(manifest.pod))
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "-n", namespace, "--timeout=60s")
    config = restricted_kubeconfig([RIGHTS["get"], RIGHTS["forward"]])

    async def attack() -> None:
        api = await Api.for_context(None)
        try:
            pod = TaskPod(await api.request("GET", f"/api/v1/namespaces/{namespace}/pods/{name}"))
            for secret in (*HOSTILE_SECRETS, pod.lock):
                await send_program(api, namespace, pod, secret)
        finally:
            await api.close()

    with monkeypatch.context() as hostile:
        hostile.setenv("KUBECONFIG", str(config))
        asyncio.run(attack())
    assert cluster.kubectl("logs", name, "-n", namespace) == ""
    phase = cluster.kubectl("get", "pod", name, "-n", namespace, "--output=jsonpath={.status.phase}")
    assert phase == "Running"


@pytest.mark.matrix
@pytest.mark.timeout(600)
def test_account_that_opens_streams_without_end_stops_no_cell(
    accounts: Accounts, cut: Any, cluster: Any, namespace: str
) -> None:
    """A cell starts and ends among hundreds of streams to its runner, whose memory stays bounded."""
    ours = submit(GATED_POD, MEASURED)
    wait_for_phase(ours, "Gated")
    cut.hold()  # the account comes first
    no_gate = [{"op": "remove", "path": "/spec/schedulingGates"}]
    cluster.kubectl(
        "patch", "pod", ours.name, "-n", namespace, "--type=json", f"--patch={json.dumps(no_gate)}"
    )
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{ours.name}", "-n", namespace, "--timeout=60s")

    async def attack() -> Any:
        async with accounts.sessions([[RIGHTS["get"], RIGHTS["forward"]]]) as (_, [api]):
            pod = TaskPod(await api.request("GET", resource_path("pods", namespace, ours.name)))
            flood = Flood(api, namespace, pod)
            async with flood.going_on():
                await flood.wait_for_answers(protocol.MAX_CONNECTIONS)
                cut.release()
                await asyncio.to_thread(wait_for_input_request, ours)
                await flood.wait_for_answers(protocol.MAX_CONNECTIONS)
                ours.reply({"value": "from the owner"})
                return await asyncio.to_thread(ours.result, 120)

    given, growth = asyncio.run(attack())
    assert given == "from the owner"
    assert growth < MAX_FLOOD_GROWTH_BYTES

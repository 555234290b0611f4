"""Accounts with some rights in the namespace try what SECURITY.md says they cannot do."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from podtask.channel.handshake import Handshake
from podtask.channel.proof import prove
from podtask.cluster.client import Api
from podtask.cluster.refusals import ApiError
from podtask.config.options import RunOptions
from podtask.manifest.identity import Identity
from podtask.manifest.render import render
from podtask.manifest.task_pod import TaskPod
from podtask.runner import protocol

from tests.local.test_hash_lock import OWNERS_FRAMES
from tests.local.test_hostile_client import ATTACH
from tests.notebook import Shell
from tests.pods.waiting import IMAGE, submit

pytestmark = [pytest.mark.cluster, pytest.mark.fault(84), pytest.mark.feature("N28")]
RIGHTS = {
    "get": {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
    "forward": {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["create", "get"]},
    "log": {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
}
HELD = "print('up')\nanswer = input()\nanswer"
HOSTILE_SECRETS = (protocol.NOT_OWNER, "ef" * 32)


async def log_of(api: Api, namespace: str, name: str) -> str:
    return await api.text(f"/api/v1/namespaces/{namespace}/pods/{name}/log", container="primary")


async def send_as_follower(
    api: Api, namespace: str, pod: TaskPod, kind: int, meta: dict[str, Any]
) -> set[str]:
    """Attach with the key alone, wait for the output, send a frame; return the codes of the runner's errors."""
    stream = await api.forward(namespace, pod.name, pod.port)
    handshake = Handshake(bytes.fromhex(pod.key), None)
    hello = await handshake.receive_hello(stream)
    seal, runner_seal = handshake.seals(hello)
    await stream.send(handshake.reply_to(hello, b""))
    await stream.send(seal.record(protocol.encode(protocol.ATTACH, ATTACH)))
    decoder = protocol.Decoder(runner_seal)
    frames = list(decoder.feed(hello.rest))
    while not any(frame.data == b"up\n" for frame in frames):
        frames += decoder.feed(await asyncio.wait_for(stream.receive(), 30))
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


@pytest.mark.parametrize(
    "rights",
    [["get"], ["log"], ["forward"], ["get", "log"], ["get", "forward"], ["forward", "log"]],
    ids="+".join,
)
def test_account_does_no_more_than_its_rights_allow(
    rights: list[str],
    pods: Shell,
    cluster: Any,
    restricted_kubeconfig: Callable[..., Path],
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only with the key and a stream can it follow; it cannot interrupt, answer, release or run anything."""
    ours = submit(None, HELD, outputs="answer")
    while "up" not in ours.logs():
        ours.updates.get(timeout=60)
    # The cell may print before the kubelet has seen the container run; until then, it serves no log.
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{ours.name}", "-n", namespace, "--timeout=60s")
    config = restricted_kubeconfig([RIGHTS[right] for right in rights])
    path = f"/api/v1/namespaces/{namespace}/pods/{ours.name}"

    async def attack() -> None:
        api = await Api.for_context(None)
        try:
            if "get" in rights:
                pod = TaskPod(await api.request("GET", path))
                assert HELD not in json.dumps(pod.pod)
            else:
                with pytest.raises(ApiError):
                    await api.request("GET", path)
            if "log" in rights:
                assert "up" in await log_of(api, namespace, ours.name)
            if {"get", "forward"} <= {*rights}:
                for kind, meta in OWNERS_FRAMES.values():
                    assert await send_as_follower(api, namespace, pod, kind, meta) == {"owner"}
        finally:
            await api.close()

    with monkeypatch.context() as hostile:
        hostile.setenv("KUBECONFIG", str(config))
        asyncio.run(attack())
    assert not ours.done()
    ours.reply({"value": "from the owner"})
    assert ours.result(60) == "from the owner"


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

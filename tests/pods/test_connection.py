"""A bad network: cut connections lose no line and no value."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from podtask.channel import channel

from tests.notebook import Shell
from tests.pods.waiting import submit, wait_for_input_request

from .conftest import in_namespace

pytestmark = pytest.mark.cluster
LINES = 100_000
MIB = 50
RULES = [
    {
        "apiGroups": [""],
        "resources": ["pods"],
        "verbs": ["create", "get", "list", "watch", "delete"],
    },
    {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
]


@pytest.mark.server_versions
@pytest.mark.fault(29, 33, 34, 70)
@pytest.mark.parametrize("channel", ["port-forward", "exec"])
def test_five_cuts_lose_nothing(shell: Shell, cut: Any, channel: str) -> None:
    """100,000 lines and 50 MB arrive complete and once, despite five cuts of the connection."""
    import podtask

    source = (
        "import hashlib, os, time\n"
        f"for n in range({LINES}):\n"
        "    print(n)\n"
        f"    if n % {LINES // 20} == 0: time.sleep(0.2)\n"
        f"value = os.urandom({MIB} << 20)\n"
        "digest = hashlib.sha256(value).hexdigest()\n"
    )
    task = podtask.submit(source, options=podtask.RunOptions.of(outputs="value,digest", channel=channel))
    cuts = 0
    seen = 0
    while not task.done() and cuts < 4:
        update = task.updates.get(timeout=60)
        if update.frame is not None and update.frame.data:
            seen += update.frame.data.count(b"\n")
            if seen > (cuts + 1) * LINES // 5:
                cut.cut()
                cuts += 1
    # the fifth cut happens during the transfer of the value
    cut.cut_after(MIB // 2 << 20)
    outcome = task.outcome(120)
    assert outcome.error is None
    assert task.channel == channel
    assert cuts == 4
    assert cut.cuts >= 5
    assert task._follower.channel is not None
    assert task._follower.channel.reconnects >= 5
    assert task.logs() == "".join(f"{n}\n" for n in range(LINES))
    assert hashlib.sha256(task.values["value"]).hexdigest() == task.values["digest"]


@pytest.mark.fault(12)
def test_inputs_survive_a_cut(shell: Shell, cut: Any) -> None:
    """After a cut during the upload of 50 MB of inputs, the upload resumes."""
    shell["big"] = bytes(range(256)) * (MIB << 12)
    cut.cut_after(MIB // 2 << 20)
    shell.run("%%podtask -o digest\nimport hashlib\ndigest = hashlib.sha256(big).hexdigest()")
    assert cut.cuts >= 1
    assert shell["digest"] == hashlib.sha256(shell["big"]).hexdigest()


def test_interrupt_during_an_outage_is_delivered(shell: Shell, cut: Any) -> None:
    """An interrupt during an outage of the API server is delivered afterwards."""
    import podtask

    task = podtask.submit("import time\nprint('up')\ntime.sleep(300)")
    while "up" not in task.logs():
        task.updates.get(timeout=60)
    cut.hold()
    cut.cut()
    task.interrupt()
    cut.release()
    started = time.monotonic()
    assert isinstance(task.outcome(60).error, KeyboardInterrupt)
    assert time.monotonic() - started < 60


@pytest.mark.fault(30)
def test_connections_that_fall_silent_are_replaced(
    shell: Shell, cut: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a connection is silent without an end, the task reconnects after a time limit."""
    monkeypatch.setattr(channel, "PING_INTERVAL_SECONDS", 1)
    monkeypatch.setattr(channel, "MAX_SILENCE_SECONDS", 3)
    task = submit(None, "print('up')\ngiven = input()\nprint('after')\ngiven")
    wait_for_input_request(task)
    cut.freeze()
    task.reply({"value": "told"})
    assert task.result(120) == "told"
    assert task.logs() == "up\nafter\n"
    assert cut.cuts == 0


@pytest.mark.fault(10)
def test_credentials_that_expire_end_nothing(
    shell: Shell,
    cluster: Any,
    namespace: str,
    api_proxy: Callable[..., Any],
    restricted_kubeconfig: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If a token expires, a message appears; with a new token, the task continues to its end."""
    first, second = (restricted_kubeconfig(RULES) for _ in range(2))
    proxy = api_proxy(first)
    config = in_namespace(proxy.kubeconfig, namespace, tmp_path / "rotated.yaml")
    monkeypatch.setenv("KUBECONFIG", str(config))
    task = submit(None, "print('up')\ngiven = input()\ngiven")
    wait_for_input_request(task)
    cluster.kubectl("delete", "serviceaccount", first.stem, "-n", namespace)
    while "Unauthorized" not in cluster.kubectl("get", "pods", kubeconfig=first, check=False):
        pass
    proxy.cut()
    while (update := task.updates.get(timeout=60)).kind != "note":
        assert update.kind != "done", task.error
    assert "have expired or are invalid: log in again" in update.text
    new = cluster.write_kubeconfig(tmp_path / "new", source=second, port=proxy.port)
    in_namespace(new, namespace, config)
    task.reply({"value": "told"})
    assert task.result(60) == "told"
    assert task.logs() == "up\n"

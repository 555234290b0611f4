"""The current context of the kubeconfig is switched while a kernel uses it."""

from __future__ import annotations

import pathlib
from typing import Any

import podtask
import pytest
import yaml

from tests.pods.waiting import wait_for_input_request

from .scripts import Script
from .scripts_access import NeedsToken
from .test_access import notes
from .user import SECONDS, Play, submit

pytestmark = pytest.mark.fault(108)


def switch(kubeconfig: pathlib.Path, current: str, namespace: str = "n", token: str = "t") -> None:
    """Do what `kubectl config` does: write the file with another current context, namespace or token."""
    config: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
    (user, *_), (cluster, *_), (scripted, *_) = config["users"], config["clusters"], config["contexts"]
    user["user"]["token"] = token
    scripted["context"]["namespace"] = namespace
    other_user = {"name": "v", "user": {"token": "another"}}
    other = {"name": "other", "context": {"cluster": "c", "user": "v", "namespace": "elsewhere"}}
    config |= {"users": [user, other_user], "clusters": [cluster], "contexts": [scripted, other]}
    written = kubeconfig.with_suffix(".new")
    written.write_text(yaml.safe_dump({**config, "current-context": current}))
    written.replace(kubeconfig)


def ran(**options: Any) -> tuple[str, list[str]]:
    """Run a cell; return its namespace and the lines about contexts and namespaces."""
    task = submit(**options)
    assert task.result(SECONDS) == 42
    return task.manifest["metadata"].get("namespace", "n"), [x for x in notes(task) if "kubectl" in x]


def test_kernel_stays_with_its_first_context(play: Play) -> None:
    """Only the first cell after a switch names the other context; all run in the first one."""
    server = play(Script())
    assert ran() == ("n", [])
    switch(server.kubeconfig, "other")
    assert ran()[1] == ["Still on context scripted. kubectl is on other now: --context other"]
    assert ran()[1] == []
    switch(server.kubeconfig, "scripted")
    assert ran()[1] == []
    switch(server.kubeconfig, "other", token="renewed")
    assert ran(context="scripted")[1] == []  # the cell chooses: nothing to say
    assert len(ran()[1]) == 1
    assert {path.split("/")[4] for _, path, _ in server.asked if "/namespaces/" in path} == {"n"}


def test_kernel_stays_in_its_first_namespace(play: Play) -> None:
    """Another namespace of the same context is named too, unless the cell has its own."""
    server = play(Script())
    ran()
    switch(server.kubeconfig, "scripted", "m")
    assert ran()[1] == ["Still in namespace n. kubectl is in m now: -n m"]
    switch(server.kubeconfig, "scripted", "k")
    assert ran(namespace="x")[1] == []
    for text in ("", "contexts: [", "current-context: 5"):  # being written, or broken
        server.kubeconfig.write_text(text)
        assert ran()[1] == []


def test_renewed_credentials_are_those_of_the_first_context(play: Play) -> None:
    """After a switch, expired credentials are renewed from the context and namespace that the kernel uses."""
    server = play(script := NeedsToken("t"))
    task = submit("given = input()\ngiven")
    wait_for_input_request(task)
    switch(server.kubeconfig, "other", "m", token="second")
    script.token = "second"
    server.loop.call_soon_threadsafe(server.forwards.cut)
    task.reply({"value": "told"})
    assert task.result(SECONDS) == "told"
    assert isinstance(task, podtask.Task)
    assert len(ran()[1]) == 1
    assert {path.split("/")[4] for _, path, _ in server.asked if "/namespaces/" in path} == {"n"}

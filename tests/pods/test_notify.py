"""``--notify`` of a detached cell whose kernel is gone, on a real cluster."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import podtask
import pytest

from tests.notebook import Kernel, Shell
from tests.pods.test_enclosed import PLAIN_POD, admit, pods_of, submit_and_kill
from tests.pods.test_packages import address
from tests.webhook import SECRET, serve_webhook

__all__ = ["address"]  # the fixture


@pytest.mark.cluster
@pytest.mark.feature("P14")
def test_pod_notifies_without_its_kernel(
    start_kernel: Callable[..., Kernel],
    pods: Shell,
    address: str,
    cluster: Any,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel is killed while the pod waits; the pod calls the webhook at its end, and shows its address nowhere."""
    with serve_webhook() as webhook:
        monkeypatch.setenv("PODTASK_NOTIFY_URL", webhook.url(address))
        shown = submit_and_kill(start_kernel(), PLAIN_POD, 1000, "--notify")
        admit(cluster, namespace)
        received = webhook.received.get(timeout=60)
        assert (received["task"], received["status"]) == ("night", "ok")
        assert SECRET not in shown + json.dumps(pods_of(cluster, namespace))
        task = podtask.attach("night")
        assert task.result(60) == 1001
        task.delete()

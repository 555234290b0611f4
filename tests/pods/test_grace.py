"""Grace periods: a sidecar may finish its work at the end of a pod, a pod without sidecars ends at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.pods.waiting import HOLD, submit, wait_for_input_request

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]
UPLOAD = "trap 'sleep 12; exit 0' TERM; sleep 1200 & wait"
KEEP = {"metadata": {"finalizers": ["podtask.test/keep"]}}


@pytest.mark.pod("P1")
def test_sidecar_finishes_its_upload(cluster: Any, namespace: str) -> None:
    """Sidecars that upload for 12 s after SIGTERM, and with `preStop: sleep 10`, end by themselves; a pod without is gone in 8 s."""
    side = {"name": "uploader", "image": "nopython:1", "command": ["sh", "-c", UPLOAD]}
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "sleep 10; touch /tmp/drained"]}}}
    drain = "trap 'test -e /tmp/drained; exit $?' TERM; sleep 600 & wait"
    proxy = {"name": "proxy", "image": "nopython:1", "command": ["sh", "-c", drain], "lifecycle": hook}
    slow, quick = submit({"containers": [side, proxy]}, HOLD + "6 * 7"), submit(None, HOLD + "6 * 7")
    for task in (slow, quick):
        wait_for_input_request(task)
    place = [f"pod/{slow.name}", "-n", namespace]
    # The pod keeps its last status.
    cluster.kubectl("patch", *place, "--type=merge", "--patch", json.dumps(KEEP))
    try:
        for task in (slow, quick):
            task.reply({"eof": True})
            assert task.result(60) == 42
        cluster.kubectl("wait", "--for=delete", f"pod/{quick.name}", "-n", namespace, "--timeout=8s")
        for name in ("uploader", "proxy"):
            exit_code = f".status.containerStatuses[?(@.name=='{name}')].state.terminated.exitCode"
            cluster.kubectl("wait", f"--for=jsonpath={{{exit_code}}}", *place, "--timeout=40s")
            assert cluster.kubectl("get", *place, f"--output=jsonpath={{{exit_code}}}") == "0"
    finally:
        cluster.kubectl("patch", *place, "--type=merge", "--patch", '{"metadata": {"finalizers": null}}')

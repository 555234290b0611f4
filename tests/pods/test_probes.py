"""Probes and hooks: those of the primary container are dropped, and what the kubelet kills is told."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.lifecycle.updates import Update

from tests.pods.waiting import HOLD, IMAGE, failure, notes, submit

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]
LONG = "import time\nprint('up')\ntime.sleep(600)"
FAILS = {"exec": {"command": ["python3", "-c", "print('not healthy'); exit(1)"]}}
LIVENESS = {**FAILS, "periodSeconds": 1, "failureThreshold": 1}
SERVER = {"name": "server", "image": IMAGE, "command": ["sleep", "600"], "terminationMessagePolicy": "File"}
QUICK = {"terminationGracePeriodSeconds": 2}  # `sleep` does not react to SIGTERM


def primary(**fields: Any) -> dict[str, Any]:
    return {**QUICK, "containers": [{"name": "primary", **fields}]}


@pytest.mark.pod("P3")
def test_cell_runs_without_the_probes_of_the_replaced_command() -> None:
    """Probes that would kill the cell's container are dropped with a notice; the hooks run."""
    touch = {"postStart": {"exec": {"command": ["touch", "/tmp/hooked"]}}}
    task = submit(
        primary(livenessProbe=LIVENESS, startupProbe=FAILS, lifecycle=touch),
        "import os, time\nwhile not os.path.exists('/tmp/hooked'):\n    time.sleep(0.05)\n'hooked'",
    )
    assert task.result(60) == "hooked"
    told = [update.text for update in iter(task.updates.get_nowait, Update("done"))]
    assert any("dropped: livenessProbe, startupProbe of container 'primary'" in text for text in told)


@pytest.mark.pod("P3")
def test_failed_probe_or_hook_of_the_cells_container_is_named() -> None:
    """If the kubelet kills the cell, the error names the probe with its message, or the hook."""
    probed = submit(primary(livenessProbe=LIVENESS), LONG, keep_probes=True, grace="1s")
    started = submit(primary(startupProbe=LIVENESS), LONG, keep_probes=True, grace="1s")
    hooked = submit(primary(lifecycle={"postStart": FAILS}), LONG, grace="1s")
    for task, field, said in (
        (probed, "livenessProbe", "its liveness probe failed: not healthy"),
        (started, "startupProbe", "its startup probe failed: not healthy"),
        (hooked, "lifecycle.postStart", "its postStart hook failed"),
    ):
        shown = failure(task)
        assert f"the kubelet killed container 'primary': {said}" in shown
        assert f"Change spec.containers[primary].{field} in the template" in shown


@pytest.mark.pod("P3")
def test_failed_probe_of_a_sidecar_is_named() -> None:
    """A note names the probe of a sidecar that the kubelet kills, and its message; the cell goes on."""
    probed = {**SERVER, "livenessProbe": LIVENESS}
    hooked = {**SERVER, "name": "hooked", "lifecycle": {"postStart": FAILS}}
    task = submit({**QUICK, "containers": [probed, hooked]}, HOLD + "6 * 7")
    said = notes(task, 2)
    assert any(
        note.startswith("the kubelet killed sidecar 'server': its liveness probe failed: not healthy")
        for note in said
    )
    assert any("sidecar 'hooked'" in note and "its postStart hook failed" in note for note in said)
    assert task.result() == 42

"""Probes and hooks: those of the primary container are dropped, and what the kubelet kills is told."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.lifecycle.updates import Update

from tests.pods.waiting import HOLD, IMAGE, failure, notes, submit

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]
PIPE = "/tmp/hooked"
# The hook or the cell creates the pipe, whichever is first.
READ_PIPE = f"""
import os, contextlib
with contextlib.suppress(FileExistsError):
    os.mkfifo({PIPE!r})
with open({PIPE!r}) as pipe:
    text = pipe.read().strip()
text
"""
FAILS = {"exec": {"command": ["sh", "-c", "echo not healthy; exit 1"]}}
LIVENESS = {**FAILS, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 30}
# Ends with 0, as many servers do.
SERVER = {"image": IMAGE, "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 600 & wait"]}
QUICK = {"terminationGracePeriodSeconds": 2}


def primary(**fields: Any) -> dict[str, Any]:
    return {**QUICK, "containers": [{"name": "primary", **fields}]}


@pytest.mark.pod("P3")
def test_cell_runs_without_the_probes_of_the_replaced_command() -> None:
    """Probes that would kill the cell's container are dropped with a notice; the hooks run."""
    hook = {"postStart": {"exec": {"command": ["sh", "-c", f"mkfifo {PIPE} 2>&-; echo hooked > {PIPE}"]}}}
    task = submit(primary(livenessProbe=LIVENESS, startupProbe=FAILS, lifecycle=hook), READ_PIPE)
    assert task.result(60) == "hooked"
    told = [update.text for update in iter(task.updates.get_nowait, Update("done"))]
    assert any("dropped: livenessProbe, startupProbe of container 'primary'" in text for text in told)


@pytest.mark.pod("P3")
def test_failed_probe_or_hook_of_the_cells_container_is_named() -> None:
    """If the kubelet kills the cell, the error names the probe with its message, or the hook."""
    probed = submit(primary(livenessProbe=LIVENESS), HOLD, keep_probes=True, grace="1s")
    started = submit(primary(startupProbe=LIVENESS), HOLD, keep_probes=True, grace="1s")
    hooked = submit(primary(lifecycle={"postStart": FAILS}), HOLD, grace="1s")
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
    """A note names the probe or hook of a sidecar that the kubelet kills, and its message; the cell goes on."""
    native = {**SERVER, "name": "native", "restartPolicy": "Always", "livenessProbe": LIVENESS}
    hooked = {**SERVER, "name": "hooked", "lifecycle": {"postStart": FAILS}}
    task = submit({**QUICK, "initContainers": [native], "containers": [hooked]}, HOLD + "6 * 7")
    said = sorted(note.partition(" (")[0] for note in notes(task, 2))
    assert said == [
        "the kubelet killed sidecar 'hooked': its postStart hook failed",
        "the kubelet killed sidecar 'native': its liveness probe failed: not healthy",
    ]
    assert task.result() == 42

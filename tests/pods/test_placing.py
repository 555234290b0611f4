"""Requirements on nodes: accelerators and labels are requested, read back and honored."""

from __future__ import annotations

import pytest

from tests.notebook import Shell
from tests.pods.test_template import ReadBack, primary, read_back
from tests.pods.waiting import IMAGE

__all__ = ["read_back"]  # the fixture
pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]


@pytest.mark.feature("B22", "A40")
def test_cell_gets_an_accelerator(pods: Shell, read_back: ReadBack, slot: tuple[str, str]) -> None:
    """--gpu with --gpu-key sets the limit, the toleration and shared memory, and the cell runs."""
    resource, _ = slot
    source = "import os\ns = os.statvfs('/dev/shm')\ns.f_frsize * s.f_blocks"
    pod, task = read_back(None, source, gpu=1, gpu_key=resource, shm="96Mi")
    assert task.result() == 96 << 20
    assert primary(pod)["resources"]["limits"] == {resource: "1"}
    assert {"key": resource, "operator": "Exists", "effect": "NoSchedule"} in pod["spec"]["tolerations"]
    pods.run(f"%%podtask --image {IMAGE} --gpu 1 --gpu-key {resource} -o x\nx = 1")
    assert pods["x"] == 1


@pytest.mark.feature("B22", "A40")
def test_accelerators_of_the_call_replace_those_of_the_template(
    read_back: ReadBack, slot: tuple[str, str]
) -> None:
    """--gpu replaces both the request and the limit of the template, and the server accepts the pod."""
    resource, _ = slot
    asked_for = {"requests": {resource: "4"}, "limits": {resource: "4"}}
    template = {"containers": [{"name": "primary", "resources": asked_for}]}
    pod, task = read_back(template, gpu=1, gpu_key=resource)
    assert task.result() == 1
    assert primary(pod)["resources"] == {"requests": {resource: "1"}, "limits": {resource: "1"}}


@pytest.mark.feature("A41")
def test_cell_runs_where_its_affinity_leads(read_back: ReadBack) -> None:
    """A pod keeps its node and pod affinity rules unchanged, and runs."""
    linux = {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
    other = {
        "labelSelector": {"matchLabels": {"app": "none"}},
        "topologyKey": "kubernetes.io/hostname",
    }
    given = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [linux]}]
            },
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "preference": {"matchExpressions": [linux]}}
            ],
        },
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [other]},
    }
    pod, task = read_back({"containers": [{"name": "primary"}], "affinity": given})
    assert task.result() == 1
    assert pod["spec"]["affinity"] == given

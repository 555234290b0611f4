"""Volumes that outlive a pod, or that are the node's own."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask import PodTemplate, RunOptions
from podtask.presets import host_path, pvc

from tests.pods.test_nodes import created
from tests.pods.waiting import IMAGE

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]


def run(source: str, template: PodTemplate) -> Any:
    return podtask.submit(source, options=RunOptions.of(template=template, image=IMAGE)).result(60)


@pytest.mark.feature("A16")
def test_what_one_cell_writes_the_next_reads(cluster: Any, namespace: str, tmp_path: Path) -> None:
    """A claim of a static volume, by the preset: two pods, one file."""
    assert cluster.node  # the volume is a folder of this machine
    name = f"podtask-test-{uuid.uuid4().hex[:8]}"
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": name}
    volume = {**common, "capacity": {"storage": "1Gi"}, "hostPath": {"path": str(tmp_path)}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
             "spec": {**common, "resources": {"requests": {"storage": "1Gi"}}}}  # fmt: skip
    template = PodTemplate().with_(pvc("data", "/data"))
    with created(cluster, "PersistentVolume", name, spec=volume):
        cluster.kubectl("create", "-n", namespace, "--filename=-", input=json.dumps(claim))
        run("open('/data/model', 'w').write('weights')", template)
        assert run("open('/data/model').read()", template) == "weights"
        reads = PodTemplate().with_(pvc("data", "/data", read_only=True))
        with pytest.raises(OSError, match="Read-only file system"):
            run("open('/data/other', 'w')", reads)
    assert (tmp_path / "model").read_text() == "weights"


@pytest.mark.feature("B12", "A12")
def test_folder_of_the_node(cluster: Any, tmp_path: Path) -> None:
    """A hostPath shows the node's files at its mount, for reading only where that is asked for."""
    assert cluster.node
    (tmp_path / "input.txt").write_text("from the node")
    template = PodTemplate().with_(host_path(str(tmp_path), "/mnt/data", read_only=True))
    assert run("open('/mnt/data/input.txt').read()", template) == "from the node"
    with pytest.raises(OSError, match="Read-only file system"):
        run("open('/mnt/data/x', 'w')", template)

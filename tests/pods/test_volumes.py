"""Volumes that outlive a pod, and volumes of the node."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask import PodTemplate, RunOptions
from podtask.presets import config_map, empty_dir, host_path, init, pvc, secret, sidecar

from tests.cluster.errors import wait_until
from tests.pods.test_nodes import created
from tests.pods.waiting import IMAGE, submit, submitted, wait_for_phase

# The sidecar may start after the cell.
LOOK = """
import os, time
while not (os.path.exists("/shared/b") and open("/shared/b").read()):
    time.sleep(0.05)
found = {}
for top in ("/config", "/secret", "/none", "/nothing", "/shared"):
    found[top] = {}
    for folder, folders, files in os.walk(top, followlinks=True):
        folders[:] = [each for each in folders if not each.startswith("..")]
        for name in files:
            path = os.path.join(folder, name)
            mode = oct(os.stat(path).st_mode & 0o777)
            found[top][os.path.relpath(path, top)] = mode, open(path).read()
kinds = {line.split()[1]: line.split()[2] for line in open("/proc/mounts")}
assert kinds["/shared"] == "tmpfs"
about = os.statvfs("/shared")
found["memory"] = about.f_blocks * about.f_frsize
found
"""

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]


def run(source: str, template: PodTemplate) -> Any:
    return podtask.submit(source, options=RunOptions.of(template=template, image=IMAGE)).result(60)


@contextmanager
def claimed_folder(cluster: Any, namespace: str, name: str, folder: Path) -> Iterator[None]:
    """Create a claim that is bound to a folder of the node."""
    volume_name = f"podtask-test-{uuid.uuid4().hex[:8]}"
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": volume_name}
    volume = {**common, "capacity": {"storage": "1Gi"}, "hostPath": {"path": str(folder)}}
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {**common, "resources": {"requests": {"storage": "1Gi"}}},
    }
    with created(cluster, "PersistentVolume", volume_name, spec=volume):
        cluster.kubectl("create", "-n", namespace, "--filename=-", input=json.dumps(claim))
        yield


@pytest.mark.feature("A16")
def test_one_cell_writes_and_the_next_reads(cluster: Any, namespace: str, tmp_path: Path) -> None:
    """With the claim preset, one pod writes a file and the next one reads it."""
    assert cluster.node  # the volume is a folder on this machine
    template = PodTemplate().with_(pvc("data", "/data"))
    with claimed_folder(cluster, namespace, "data", tmp_path):
        run("open('/data/model', 'w').write('weights')", template)
        assert run("open('/data/model').read()", template) == "weights"
        reads = PodTemplate().with_(pvc("data", "/data", read_only=True))
        with pytest.raises(OSError, match="Read-only file system"):
            run("open('/data/other', 'w')", reads)
    assert (tmp_path / "model").read_text() == "weights"


@pytest.mark.feature("B12", "A12")
def test_folder_of_the_node(cluster: Any, tmp_path: Path) -> None:
    """A hostPath mount contains the files of the node, and is read-only if requested."""
    assert cluster.node
    (tmp_path / "input.txt").write_text("from the node")
    template = PodTemplate().with_(host_path(str(tmp_path), "/mnt/data", read_only=True))
    assert run("open('/mnt/data/input.txt').read()", template) == "from the node"
    with pytest.raises(OSError, match="Read-only file system"):
        run("open('/mnt/data/x', 'w')", template)


@pytest.mark.feature("A12")
def test_csi_volume_is_kept(cluster: Any, namespace: str) -> None:
    """The pod keeps driver, attributes and mount of a CSI volume; the reason names a missing driver."""
    source = {
        "driver": "demo.podtask.test",
        "readOnly": True,
        "volumeAttributes": {"bucketName": "weights", "mountOptions": "implicit-dirs"},
    }
    mount = {"name": "bucket", "mountPath": "/mnt/bucket", "readOnly": True, "subPath": "a"}
    template = PodTemplate(
        {
            "containers": [{"name": "primary", "volumeMounts": [mount]}],
            "volumes": [{"name": "bucket", "csi": source}],
        }
    )
    with submitted(template) as task:
        line = wait_for_phase(task, "demo.podtask.test")
        pod = cluster.kubectl_json("get", "pod", task.name, "-n", namespace)
    assert "spec.volumes" in line
    (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == "bucket"]
    assert volume["csi"] == source
    (primary,) = pod["spec"]["containers"]
    (mounted,) = [each for each in primary["volumeMounts"] if each["name"] == "bucket"]
    assert mounted == mount


@pytest.mark.feature("B13", "B14", "B15")
def test_volumes_are_as_requested(cluster: Any, namespace: str) -> None:
    """Selected items with modes, optional objects, memory size and sharing are honored."""
    for kind, name, *of in (("secret", "hidden", "generic"), ("configmap", "made")):
        cluster.kubectl(
            "create", kind, *of, name, "--from-literal=one=1", "--from-literal=two=2", "-n", namespace
        )
    template = PodTemplate().with_(
        config_map("made", "/config", items={"one": "deep/first"}, mode=0o440),
        secret("hidden", "/secret", items={"two": "second"}, mode=0o400),
        config_map("absent", "/none", optional=True),
        secret("missing", "/nothing", optional=True),
        empty_dir("/shared", memory=True, size="8Mi"),
        init("first", IMAGE, command=["sh", "-c", "echo init > /s/a"], mounts={"shared": "/s"}),
        sidecar("second", IMAGE, command=["sh", "-c", "echo side > /s/b; sleep 60"], mounts={"shared": "/s"}),
    )
    assert run(LOOK, template) == {
        "/config": {"deep/first": ("0o440", "1")},
        "/secret": {"second": ("0o400", "2")},
        "/none": {},
        "/nothing": {},
        "/shared": {"a": ("0o644", "init\n"), "b": ("0o644", "side\n")},
        "memory": 8 << 20,
    }


@pytest.mark.server_versions
@pytest.mark.feature("S03", "N04")
def test_claim_without_a_volume_is_named(cluster: Any, namespace: str) -> None:
    """The reason names an unbound claim and its field."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    cluster.kubectl("create", "-n", namespace, "--filename=-", input=json.dumps(claim))
    with submitted(PodTemplate().with_(pvc("data", "/data"))) as task:
        line = wait_for_phase(task, "a claim is not bound to a volume")
        assert "spec.volumes[].persistentVolumeClaim" in line


@pytest.mark.feature("S03", "N04")
@pytest.mark.fault(21)
def test_volume_that_cannot_be_attached_is_named(cluster: Any, namespace: str) -> None:
    """The reason quotes the attach error of a volume, which the test reports in place of the driver."""
    name = f"podtask-test-{uuid.uuid4().hex[:8]}"
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": name}
    volume = {
        **common,
        "capacity": {"storage": "1Gi"},
        "csi": {"driver": name, "volumeHandle": "x"},
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {**common, "resources": {"requests": {"storage": "1Gi"}}},
    }
    said = {"message": "disk x is in use by another machine", "time": "2026-01-01T00:00:00Z"}

    def attachments() -> list[str]:
        listed = cluster.kubectl_json("get", "volumeattachments")["items"]
        return [each["metadata"]["name"] for each in listed if each["spec"]["attacher"] == name]

    with created(cluster, "PersistentVolume", name, spec=volume):
        cluster.kubectl("create", "-n", namespace, "--filename=-", input=json.dumps(claim))
        task = submit(PodTemplate().with_(pvc("data", "/data")))
        try:
            wait_until(lambda: bool(attachments()), "a question to the attacher", seconds=60)
            (attachment,) = attachments()
            cluster.kubectl(
                "patch",
                "volumeattachment",
                attachment,
                "--subresource=status",
                "--type=merge",
                "--patch",
                json.dumps({"status": {"attached": False, "attachError": said}}),
            )
            line = wait_for_phase(task, "FailedAttachVolume")
            assert "disk x is in use by another machine" in line
            assert "spec.volumes" in line
        finally:
            task.cancel()
            for each in attachments():
                cluster.kubectl("delete", "volumeattachment", each, "--wait=false")

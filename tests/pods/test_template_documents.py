"""Documents that people have, on a real API server: what it accepts is accepted, and strings stay strings."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import podtask
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from podtask import PodTemplate, RunOptions
from podtask.api.check import server_dry_run
from podtask.api.resolve import resolve_options
from podtask.api.submit import preview
from podtask.event_loop import loop
from podtask.manage.names import read_names
from podtask.runner.protocol import INPUT_REQUEST
from podtask.template.pod_document import DEFAULT_CONTAINER

from tests.pods.test_volumes import claimed_folder
from tests.pods.waiting import HOLD
from tests.unit.template.test_accepted_values import YAML
from tests.unit.template.test_public_pods import PODS, ROW_PODS
from tests.unit.template.test_yaml_writer import AMBIGUOUS, TEXTS

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]
IMAGE = "python:3.11-slim"
DEPLOYMENT = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
      - {{name: web, image: {IMAGE}, command: [sleep, "600"], env: [{{name: WHERE, value: web}}]}}
"""
DryRun = Callable[[str], dict[str, Any]]


@pytest.fixture
def dry_run(cluster: Any, namespace: str) -> DryRun:
    """Return a function that has kubectl and the API server check YAML, and returns the object."""

    def run(text: str) -> dict[str, Any]:
        command = (
            "create",
            "--dry-run=server",
            "--validate=strict",
            "-o",
            "json",
            "-n",
            namespace,
            "-f",
            "-",
        )
        return json.loads(cluster.kubectl(*command, input=text))  # type: ignore[no-any-return]

    return run


def as_pod(template: PodTemplate) -> str:
    """Return a template as YAML of a pod, for kubectl."""
    whole = f"apiVersion: v1\nkind: Pod\n{template.to_yaml()}"
    return whole.replace("metadata:\n", "metadata:\n  generateName: test-\n", 1)


@pytest.mark.pod("P6")
def test_strings_of_the_yaml_are_strings_for_kubectl(dry_run: DryRun) -> None:
    """Kubectl and the API server read every string of to_yaml as the same string."""

    @settings(
        max_examples=4,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.lists(TEXTS, min_size=80, max_size=160))
    def check(texts: list[str]) -> None:
        values = [*AMBIGUOUS, *texts]
        env = [{"name": f"V{number}", "value": value} for number, value in enumerate(values)]
        template = PodTemplate(
            {"containers": [{"name": "primary", "image": "i", "args": values, "env": env}]},
            labels={"y": "n", "a": "72225e2", "b": "1e3", "c": "0o17"},
            annotations={f"a{number}": value for number, value in enumerate(values)},
        )
        stored = dry_run(as_pod(template))
        (container,) = stored["spec"]["containers"]
        assert container["args"] == values
        assert [each.get("value", "") for each in container["env"]] == values
        assert stored["metadata"]["labels"] == template.labels
        assert template.annotations is not None
        assert template.annotations.items() <= stored["metadata"]["annotations"].items()

    check()


@pytest.mark.pod("P7", "P11")
def test_odd_values_are_the_same_for_kubectl(dry_run: DryRun, tmp_path: Path) -> None:
    """The API server stores the same pod for a document and for the template that was read from it."""
    document = YAML.replace("metadata:\n", "metadata:\n  generateName: test-\n", 1)
    document = document.replace("spec:\n", "spec:\n  automountServiceAccountToken: false\n", 1)
    plain = dry_run(document)
    file = tmp_path / "pod.yaml"
    file.write_text(document)
    template = PodTemplate.of(file)
    copied = eval(template.to_python(), {"PodTemplate": PodTemplate})
    for each in (template, copied, PodTemplate.of(template.to_yaml())):
        stored = dry_run(as_pod(each))
        assert stored["spec"] == plain["spec"]
        assert stored["metadata"]["labels"] == plain["metadata"]["labels"]


@pytest.mark.pod("P2", "P7")
def test_pods_of_other_programs_are_accepted(cluster: Any, namespace: str, dry_run: DryRun) -> None:
    """The API server accepts the pod of each template with all its fields, and its YAML from kubectl."""
    accounts = {each["pod"].get("spec", {}).get("serviceAccountName") for each in PODS.values()} - {None}
    for account in accounts:
        cluster.kubectl("create", "serviceaccount", account, "-n", namespace)
    for name, each in PODS.items():
        template = PodTemplate.of(each["pod"])
        options = resolve_options({"template": template})
        answer = loop().run(server_dry_run(preview(options).pod, options))
        assert (name, answer.dropped_fields) == (name, ())
        container = {"containers": [{"name": "primary", "image": "i"}], **template.pod_spec}
        container["containers"][0].setdefault("image", "i")  # Spark's has none
        stored = dry_run(as_pod(template.replace(pod_spec=container)))
        assert stored["metadata"]["annotations"][DEFAULT_CONTAINER] == each["cell"]


# Pods whose parts are in any cluster; the others need a device, a class, a claim or an object of a team.
RUNNABLE = ("P2", "P3", "P5", "P7", "P9", "P13", "P16", "P22")


@pytest.mark.pod("P2", "P3", "P5", "P7", "P9", "P13", "P16", "P22")
def test_pods_of_the_rows_run(namespace: str) -> None:
    """A cell runs in each pod that any cluster can run, all at once, and its result comes back."""
    tasks = {}
    for row in RUNNABLE:
        (pod,) = [each["pod"] for name, each in ROW_PODS.items() if name.split()[0] == row]
        template = PodTemplate.of(pod)
        for container in template.pod_spec["containers"]:
            container.get("resources", {}).pop("limits", None)  # of GPUs
        tasks[row] = podtask.submit("import sys\nsys.version_info[0] + 1", template=template)
    assert {row: task.result(120) for row, task in tasks.items()} == dict.fromkeys(RUNNABLE, 4)


# What a cell sees in the pods of PODS that run on this cluster: an expression, and its value. The node cannot have huge
# pages for EFA, and the bucket needs a CSI driver.
SEEN: dict[str, tuple[str, object]] = {
    "airflow pod_template_file": (
        "(os.environ['AIRFLOW__DATABASE__SQL_ALCHEMY_CONN'], open('/opt/airflow/airflow.cfg').read(), os.getuid())",
        ("postgres://", "[core]", 50000),
    ),
    # The folder is the other container's.
    "airflow pod_override with a sidecar": ("os.path.exists('/shared')", False),
    "spark executor": ("(os.getuid(), os.path.ismount('/var/data/spark-local'))", (185, True)),
    "spark on EMR with local disks": ("(os.stat('/data1').st_uid, os.stat('/data1').st_gid)", (999, 1000)),
    "kubespawner server": (
        "(os.environ['JUPYTERHUB_USER'], os.getuid(), os.path.isdir('/home/jovyan/work'))",
        ("ada", 1000, True),
    ),
    "kubeflow pytorchjob worker": ("os.path.ismount('/dev/shm')", True),
    "argo workflow pod in the cluster": ("os.path.exists('/var/run/argo')", False),
    "tekton pod template": (
        "(os.getuid(), socket.gethostbyname('foo.local'), 'ns1.svc' in open('/etc/resolv.conf').read())",
        (1001, "127.0.0.1", True),
    ),
    "gke tpu": ("os.path.exists('/dev/kmsg')", True),  # privileged
    "flyte default pod template": ("os.environ['KUBERNETES_SERVICE_PORT']", "443"),
}
DEVICES = ("nvidia.com/gpu", "google.com/tpu")


def for_this_cluster(pod: dict[str, Any], device: str, folder: Path) -> dict[str, Any]:
    """Return a pod with an image, a device, labels and a folder that the node of the tests has; its disk has no capacity."""
    pod = copy.deepcopy(pod)
    template = pod.get("template", pod)
    spec = template.get("spec", template)
    if "nodeSelector" in spec:
        spec["nodeSelector"] = {"kubernetes.io/os": "linux"}
    for container in (*spec.get("initContainers", ()), *spec.get("containers", ())):
        container["image"] = IMAGE
        for amounts in container.get("resources", {}).values():
            amounts.pop("ephemeral-storage", None)
            for name in DEVICES:
                if amounts.pop(name, None):
                    amounts[device] = 1
    for volume in spec.get("volumes", ()):
        if "hostPath" in volume:
            volume["hostPath"]["path"] = str(folder)
    return pod


@pytest.mark.pod("P2", "P4", "P7", "P10")
def test_pods_of_other_programs_run(
    cluster: Any, namespace: str, slot: tuple[str, str], tmp_path: Path
) -> None:
    """A cell runs in each pod of another program that the cluster can run, and its result comes back."""
    assert cluster.node  # the volumes are folders on this machine
    for account in ("airflow-worker", "gcs-reader"):
        cluster.kubectl("create", "serviceaccount", account, "-n", namespace)
    cluster.kubectl(
        *("create", "secret", "generic", "release-name-airflow-metadata", "-n", namespace),
        "--from-literal=connection=postgres://",
    )
    cluster.kubectl(
        *("create", "configmap", "release-name-airflow-config", "-n", namespace),
        "--from-literal=airflow.cfg=[core]",
    )
    folder = tmp_path / "home"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)  # the pod's user writes there
    disk = tmp_path / "disk"
    disk.mkdir()
    options = RunOptions.of(image=IMAGE)
    with claimed_folder(cluster, namespace, "claim-ada", folder):
        tasks = {}
        for name, (source, _) in SEEN.items():
            pod = for_this_cluster(PODS[name]["pod"], slot[0], disk)
            if pod.get("kind") == "PodTemplate":
                pod["metadata"].pop("namespace")
            tasks[name] = podtask.submit(f"import os, socket\n{source}", template=pod, options=options)
        assert {name: task.result(120) for name, task in tasks.items()} == {
            name: expected for name, (_, expected) in SEEN.items()
        }


@pytest.mark.pod("P2", "P4", "P10")
def test_pod_of_a_deployment_is_a_template(cluster: Any, namespace: str, tmp_path: Path) -> None:
    """A cell runs in the only container of a Deployment's pod, and the ReplicaSet does not take the new pod."""
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=DEPLOYMENT)
    cluster.kubectl("wait", "deployment/web", "-n", namespace, "--for=condition=Available", "--timeout=60s")
    (pod,) = cluster.kubectl_json("get", "pods", "-n", namespace, "-l", "app=web")["items"]
    file = tmp_path / "pod.yaml"
    file.write_text(yaml.safe_dump(pod))
    task = podtask.submit(f"{HOLD}import os\nos.environ['WHERE']", template=str(file))
    notices = []
    while (update := task.updates.get(timeout=60)).frame is None or update.frame.kind != INPUT_REQUEST:
        assert update.kind != "done", task.error
        notices += [update.text] if update.kind == "note" else []
    created = cluster.kubectl_json("get", "pod", task.name, "-n", namespace)
    replica_set = cluster.kubectl_json("get", "replicasets", "-n", namespace)["items"][0]
    task.reply({"eof": True})
    assert task.result(60) == "web"
    assert [each["name"] for each in created["spec"]["containers"]] == ["web"]
    assert "ownerReferences" not in created["metadata"]
    assert {"app", "pod-template-hash"}.isdisjoint(created["metadata"]["labels"])
    assert replica_set["status"]["replicas"] == 1
    assert cluster.kubectl("get", "pod", pod["metadata"]["name"], "-n", namespace)
    assert [text for text in notices if "app=web" in text]


@pytest.mark.pod("P10")
def test_cell_runs_in_the_namespace_of_its_template(
    cluster: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod with a namespace runs there, whatever namespace the kubeconfig has."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    pod = {"kind": "Pod", "metadata": {"namespace": namespace}, "spec": {"containers": [{"name": "base"}]}}
    task = podtask.submit("6 * 7", template=pod, options=RunOptions.of(image=IMAGE))
    assert task.result(60) == 42
    assert task.url.split("/")[1] == namespace


@pytest.mark.pod("P20")
def test_objects_that_do_not_exist_have_no_names() -> None:
    """A list of metadata without items, which the API server writes as null, has no names."""
    assert read_names("runtime class", RunOptions()) == []

"""A pod that was read from a cluster as a template: what belongs to that one pod is left out, and named."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client
from podtask import PodTemplate
from podtask.errors import InputError

from tests.unit.manifest.test_render import rendered

# `kubectl get pod -o yaml` of a pod of a Deployment, shortened.
DEPLOYMENT_POD = yaml.safe_load("""
apiVersion: v1
kind: Pod
metadata:
  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}', team/note: kept}
  creationTimestamp: "2026-01-05T10:00:00Z"
  generateName: web-7d4b9c5f6-
  labels: {app: web, pod-template-hash: 7d4b9c5f6}
  name: web-7d4b9c5f6-x2x4q
  namespace: shop
  ownerReferences:
  - {apiVersion: apps/v1, blockOwnerDeletion: true, controller: true, kind: ReplicaSet, name: web-7d4b9c5f6, uid: 5e5c}
  resourceVersion: "1813"
  uid: 0b0d9a0e
spec:
  containers:
  - name: web
    image: python:3.11-slim
    volumeMounts:
    - {mountPath: /data, name: data}
    - {mountPath: /var/run/secrets/kubernetes.io/serviceaccount, name: kube-api-access-8vq2l, readOnly: true}
  initContainers:
  - name: init
    image: busybox
    volumeMounts:
    - {mountPath: /var/run/secrets/kubernetes.io/serviceaccount, name: kube-api-access-8vq2l, readOnly: true}
  nodeName: node-1
  preemptionPolicy: PreemptLowerPriority
  priority: 0
  serviceAccountName: default
  volumes:
  - {name: data, emptyDir: {}}
  - name: kube-api-access-8vq2l
    projected: {sources: [{serviceAccountToken: {expirationSeconds: 3607, path: token}}]}
status: {phase: Running, podIP: 10.1.2.3}
""")


def pod(**metadata: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "primary", "image": "i"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@pytest.mark.pod("P4")
def test_pod_of_a_deployment_keeps_nothing_of_its_controller(tmp_path: Path) -> None:
    """Labels, node, token and computed fields are left out of a file and of a dict, with notices that list them."""
    before = copy.deepcopy(DEPLOYMENT_POD)
    file = tmp_path / "pod.yaml"
    file.write_text(yaml.safe_dump(DEPLOYMENT_POD))
    for given in (file, DEPLOYMENT_POD):
        template = PodTemplate.of(given)
        assert template.labels == {}
        assert template.annotations == {"team/note": "kept"}
        assert template.pod_spec == {
            "containers": [
                {
                    "name": "web",
                    "image": "python:3.11-slim",
                    "volumeMounts": [{"mountPath": "/data", "name": "data"}],
                }
            ],
            "initContainers": [{"name": "init", "image": "busybox"}],
            "serviceAccountName": "default",
            "volumes": [{"name": "data", "emptyDir": {}}],
        }
        assert template.notices == (
            "all labels are left out, so that neither ReplicaSet web-7d4b9c5f6 nor a Service takes the pod: "
            "app=web, pod-template-hash=7d4b9c5f6. Give back what you need with labels=",
            "left out, because a cluster sets it for each pod: spec.nodeName, spec.priority, "
            "spec.preemptionPolicy, volume kube-api-access-8vq2l",
            "the cell runs in web, the pod's only container (--primary NAME for another one)",
        )
        found = rendered(template.replace(labels={"team": "a"}))
        assert found.labels["team"] == "a"
        assert set(template.notices) <= set(found.notices)
    assert before == DEPLOYMENT_POD


@pytest.mark.pod("P4")
@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"app": "web", "controller-revision-hash": "web-1", "apps.kubernetes.io/pod-index": "0"}},
        {"labels": {"app": "x", "job-name": "x", "batch.kubernetes.io/controller-uid": "1"}},
        {"labels": {"app": "x", "rollouts-pod-template-hash": "1"}},
        {"labels": {"app": "x", "training.kubeflow.org/replica-index": "0"}},
        {"labels": {"app": "agent"}, "ownerReferences": [{"kind": "DaemonSet", "name": "agent"}]},
        {"labels": {"app": "agent"}, "uid": "1"},
        {"labels": {"app": "x", "ray.io/cluster": "c"}},
        {"labels": {"app": "x", "tekton.dev/taskRun": "t"}},
    ],
    ids=["StatefulSet", "Job", "Rollout", "PyTorchJob", "DaemonSet", "uid", "Ray", "Tekton"],
)
def test_labels_of_a_controller_are_all_left_out(metadata: dict[str, Any]) -> None:
    """One sign of a controller is enough: a Service or a DaemonSet selects by the other labels."""
    for template in (
        PodTemplate.of(pod(**metadata)),
        PodTemplate.of({"kind": "PodTemplate", "template": pod(**metadata)}),
    ):
        assert template.labels == {}
        assert "all labels are left out" in template.notices[0]
        assert "app=" in template.notices[0]


@pytest.mark.pod("P4")
def test_pod_of_a_stateful_set_gives_away_its_host_name() -> None:
    """The host name that a StatefulSet sets is left out; one that the user has chosen stays."""
    for name, kept in (("db-0", None), ("database", "database")):
        given = pod(uid="1", name="db-0")
        given["spec"]["hostname"] = name
        assert PodTemplate.of(given).pod_spec.get("hostname") == kept


@pytest.mark.pod("P4")
def test_pod_of_a_daemon_set_is_bound_to_no_node() -> None:
    """The affinity by which a DaemonSet binds each pod to a node is left out; other affinity stays."""
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    fields = [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]
    bound = {required: {"nodeSelectorTerms": [{"matchFields": fields}]}}
    own = {"podAffinity": {required: [{"topologyKey": "zone", "namespaceSelector": {}}]}}
    preferred: dict[str, Any] = {"preferredDuringSchedulingIgnoredDuringExecution": []}
    gpu = {required: {"nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]}}
    for affinity, kept in (
        ({"nodeAffinity": bound}, None),
        ({"nodeAffinity": bound, **own}, own),
        ({"nodeAffinity": {**bound, **preferred}}, {"nodeAffinity": preferred}),
    ):
        given = pod(uid="1")
        given["spec"]["affinity"] = affinity
        template = PodTemplate.of(given)
        assert template.pod_spec.get("affinity") == kept
        assert template.notices[-1].endswith("for each pod: the affinity to one node")
    given["spec"]["affinity"] = {"nodeAffinity": gpu}
    assert PodTemplate.of(given).pod_spec["affinity"] == {"nodeAffinity": gpu}


@pytest.mark.pod("P4")
def test_pod_that_the_client_library_has_read(tmp_path: Path) -> None:
    """A V1Pod with a status loses its labels too."""
    read = client.V1Pod(
        metadata=client.V1ObjectMeta(labels={"app": "web"}, name="web"),
        spec=client.V1PodSpec(containers=[client.V1Container(name="primary")], node_name="n"),
        status=client.V1PodStatus(phase="Running"),
    )
    template = PodTemplate.of(read)
    assert template.labels == {}
    assert "nodeName" not in template.pod_spec
    assert "neither a controller nor a Service" in template.notices[0]


@pytest.mark.pod("P4")
def test_spec_of_a_pod_in_the_cluster_has_no_token() -> None:
    """A spec with an injected token is the one of a pod in a cluster, also without the metadata of that pod."""
    spec = DEPLOYMENT_POD["spec"]
    for given in (spec, {"kind": "Pod", "metadata": {"labels": {"app": "web"}}, "spec": spec}):
        template = PodTemplate.of(given)
        assert template.pod_spec == PodTemplate.of(DEPLOYMENT_POD).pod_spec
        assert template.notices[0].startswith(
            "left out, because a cluster sets it for each pod: spec.nodeName"
        )
    assert template.labels == {"app": "web"}


@pytest.mark.pod("P4")
def test_written_pod_keeps_its_labels_and_node() -> None:
    """A pod that somebody has written, also with ``kubectl run --dry-run``, keeps labels and nodeName."""
    written = pod(labels={"run": "web"}, creationTimestamp=None)
    written["spec"]["nodeName"] = "node-1"
    template = PodTemplate.of({**written, "status": {}})
    assert template.labels == {"run": "web"}
    assert template.pod_spec["nodeName"] == "node-1"
    assert template.notices == ()


@pytest.mark.pod("P10")
@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"name": "web"}, "metadata.name web is ignored: podtask names its pods (--name names the task)"),
        ({"generateName": "web-"}, "metadata.generateName web- is ignored"),
        ({"finalizers": ["batch.kubernetes.io/job-tracking"]}, "metadata.finalizers are left out"),
        (
            {"labels": {"app.kubernetes.io/managed-by": "Helm"}},
            "label app.kubernetes.io/managed-by: Helm becomes podtask",
        ),
    ],
)
def test_metadata_without_an_effect_is_named(metadata: dict[str, Any], says: str) -> None:
    """A name, finalizers and the label of the manager have no effect, and a notice says so."""
    found = rendered(PodTemplate.of(pod(**metadata)))
    assert any(each.startswith(says) for each in found.notices)
    assert found.name == "podtask-0a1b2c3d4e"
    assert "finalizers" not in found.pod["metadata"]


@pytest.mark.pod("P10")
def test_namespace_survives_every_form() -> None:
    """The namespace of a pod is a field of the template, and part of its YAML, Python and dict."""
    template = PodTemplate.of(pod(namespace="team-a"))
    assert template.namespace == "team-a"
    assert template.replace(labels={"a": "b"}).namespace == "team-a"
    assert PodTemplate.of(template.to_yaml()) == template
    assert eval(template.to_python(), {"PodTemplate": PodTemplate}) == template
    assert PodTemplate.of({"kind": "PodTemplate", "template": template.to_dict()}) == template
    assert rendered(template).pod["metadata"]["namespace"] == "team-a"
    assert "# Flyte chooses the namespace; the template says team-a\n" in template.to_flyte()
    with pytest.raises(InputError, match="is not a valid namespace"):
        PodTemplate.of(pod(namespace="Team A"))


@pytest.mark.pod("P10")
def test_namespace_of_the_object_is_not_the_pods() -> None:
    """A core/v1 PodTemplate has a namespace of its own, which a notice names."""
    flyte = {"kind": "PodTemplate", "metadata": {"name": "x", "namespace": "flyte"}, "template": pod()}
    template = PodTemplate.of(flyte)
    assert template.namespace is None
    assert template.notices[0].startswith(
        "metadata.namespace flyte is the namespace of the PodTemplate object"
    )


@pytest.mark.pod("P10")
def test_misspelled_metadata_is_an_error() -> None:
    """A field that the API does not know is an error that suggests the right one."""
    with pytest.raises(InputError, match=r"metadata\.lables .* is not a known field\. Did you mean 'labels'"):
        PodTemplate.of(pod(lables={"a": "b"}))
    for document in ({"kind": "Pod", "specs": {}}, {"metadata": {"labels": {"a": "b"}}, "containers": []}):
        with pytest.raises(InputError, match=r"the dict has the field '(specs|containers)' beside metadata"):
            PodTemplate.of(document)
    with pytest.raises(InputError, match="The metadata in the dict is not a mapping"):
        PodTemplate.of({"kind": "Pod", "metadata": ["a"], "spec": {}})


@pytest.mark.pod("P23")
@pytest.mark.parametrize(
    "text",
    [
        "spec:\n  containers:\n  - name: primary\n    image: {{ .Values.image }}\n",
        'kind: Pod\nmetadata:\n  labels:\n{{- include "app.labels" . | nindent 4 }}\nspec: {}\n',
        'spec:\n  containers:\n  - {name: primary, image: "{{ .Values.image.repository }}:1"}\n',
        "spec:\n  tolerations: {{ toYaml .Values.tolerations }}\n",
        "{{- if .Values.gpu }}\nspec: {}\n{{- end }}\n",
        "spec:\n  serviceAccountName: {{ $.Release.Name }}\n",
    ],
)
def test_helm_template_is_named(text: str, tmp_path: Path) -> None:
    """A chart that was not rendered is an error of two lines, whether it is valid YAML or not."""
    file = tmp_path / "pod.yaml"
    file.write_text(text)
    for given in (text, file):
        with pytest.raises(InputError, match=r"is a Helm template \(line \d\): render it first") as caught:
            PodTemplate.of(given)
        assert "helm template" in caught.value.hint


@pytest.mark.pod("P23")
@pytest.mark.parametrize(
    "text",
    [
        "spec:\n  containers:\n  - {name: primary, image: {{ image }}}\n",
        "kind: Pod\nspec:\n{% if gpu %}\n  nodeSelector: {}\n{% endif %}\n",
    ],
    ids=["Ansible", "Jinja"],
)
def test_template_of_another_program_is_named(text: str) -> None:
    """YAML that cannot be read because it has braces of a template says that it has to be rendered."""
    with pytest.raises(InputError, match="is not valid YAML") as caught:
        PodTemplate.of(text)
    assert "render it first" in caught.value.hint


@pytest.mark.pod("P23")
def test_braces_of_other_programs_pass() -> None:
    """Arguments may have braces of Argo, Jinja, Prometheus or docker."""
    args = ["{{inputs.parameters.x}}", "{{ ds }}", "{{ $labels.instance }}", "{{.State.Running}}"]
    text = yaml.safe_dump({"spec": {"containers": [{"name": "primary", "args": args}]}})
    assert PodTemplate.of(text).pod_spec["containers"][0]["args"] == args

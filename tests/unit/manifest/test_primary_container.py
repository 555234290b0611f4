"""Which container runs the cell: one rule, whatever form describes the pod."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes import client
from podtask import PodTemplate
from podtask.errors import InputError
from podtask.presets import gpu
from podtask_widgets.draft import Draft

from tests.unit.manifest.test_render import rendered
from tests.unit.template.test_documents import from_flyte

ANNOTATION = "kubectl.kubernetes.io/default-container"
AIRFLOW = {  # pod_override of Airflow's KubernetesExecutor
    "metadata": {"labels": {"release": "stable"}},
    "spec": {
        "containers": [
            {
                "name": "base",
                "image": "team/gpu:3",
                "env": [{"name": "STATE", "value": "wa"}],
                "resources": {"limits": {"nvidia.com/gpu": "1", "memory": "8Gi"}},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [{"name": "data", "emptyDir": {}}],
    },
}
SPARK = {  # podTemplateFile of Spark on Kubernetes
    "apiVersion": "v1",
    "kind": "Pod",
    "spec": {"containers": [{"name": "spark-kubernetes-executor", "image": "spark:3.5"}]},
}
FLYTE = {  # the PodTemplate that a Flyte cluster applies to every pod
    "apiVersion": "v1",
    "kind": "PodTemplate",
    "metadata": {"name": "flyte-template"},
    "template": {"spec": {"containers": [{"name": "default", "image": "docker.io/rwgrim/docker-noop"}]}},
}
NOTICE = "the cell runs in {}, the pod's only container (--primary NAME for another one)"


def containers(*names: str) -> dict[str, Any]:
    limits = {"limits": {"memory": "1Mi"}}
    return {"containers": [{"name": name, "image": "i", "resources": limits} for name in names]}


@pytest.mark.pod("P2")
@pytest.mark.parametrize(
    ("document", "name"),
    [
        (AIRFLOW, "base"),
        (SPARK, "spark-kubernetes-executor"),
        (FLYTE, "default"),
        ({"kind": "Pod", "spec": containers("notebook")}, "notebook"),
        ({"metadata": {"annotations": {"a": "b"}}, "spec": containers("main")}, "main"),
    ],
    ids=["Airflow", "Spark", "Flyte", "kind", "metadata"],
)
@pytest.mark.parametrize("form", [dict, yaml.safe_dump])
def test_only_container_of_a_pod_runs_the_cell(form: Any, document: dict[str, Any], name: str) -> None:
    """U4: A Pod with one container runs the cell there, with its mounts and GPUs, and a notice says so."""
    found = rendered(PodTemplate.of(form(document)))
    assert found.primary == name
    assert [each["name"] for each in found.pod["spec"]["containers"]] == [name]
    assert NOTICE.format(name) in found.notices
    if document is AIRFLOW:
        assert found.primary_container["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert found.linger_seconds == 600  # it holds the GPU


@pytest.mark.pod("P2")
def test_only_container_of_a_pod_model_runs_the_cell() -> None:
    """The same holds for a V1Pod, a V1PodTemplate, and for a V1Pod without metadata."""
    spec = client.V1PodSpec(containers=[client.V1Container(name="base", image="i")])
    template = client.V1PodTemplateSpec(spec=spec)
    for pod in (
        client.V1Pod(metadata=client.V1ObjectMeta(labels={"a": "b"}), spec=spec),
        client.V1Pod(spec=spec),
        client.V1PodTemplate(template=template),
    ):
        assert rendered(PodTemplate.of(pod)).primary == "base"


@pytest.mark.pod("P2")
@pytest.mark.parametrize(
    "template",
    [
        PodTemplate(containers("base")),
        PodTemplate.of(containers("base")),
        PodTemplate(client.V1PodSpec(containers=[client.V1Container(name="base", image="i")])),
        PodTemplate.of(yaml.safe_dump(containers("base"))),
        PodTemplate(containers("base"), "primary"),
    ],
    ids=["pod_spec", "dict", "V1PodSpec", "YAML", "given"],
)
def test_bare_pod_spec_gets_a_container(template: PodTemplate) -> None:
    """U4: a pod spec may list sidecars alone: a container is added, and the first notice names the others."""
    found = rendered(template)
    assert [each["name"] for each in found.pod["spec"]["containers"]] == ["base", "primary"]
    assert found.notices[0] == (
        "the cell runs in an added container, primary; beside it: base. To run in it: --primary base"
    )


@pytest.mark.pod("P2")
@pytest.mark.parametrize(
    ("template", "options", "name", "added"),
    [
        (PodTemplate(containers("base", "log"), "base", annotations={ANNOTATION: "log"}), {}, "base", False),
        (PodTemplate(containers("base", "log"), annotations={ANNOTATION: "log"}), {}, "log", False),
        (PodTemplate(containers("base", "log"), "base"), {"primary": "log"}, "log", False),
        (PodTemplate(containers("base", "primary")), {}, "primary", False),
        (PodTemplate(containers("base", "log")), {}, "primary", True),
        (PodTemplate(containers("my-sidecar"), "flyte-container"), {}, "flyte-container", True),
        (PodTemplate(containers("base"), annotations={ANNOTATION: "cell"}), {}, "cell", True),
        (PodTemplate.of({"kind": "Pod", "spec": containers("base")}), {"primary": "cell"}, "cell", True),
        (PodTemplate.of({"kind": "Pod", "spec": containers("base", "log")}), {}, "primary", True),
        (PodTemplate(), {"primary": "cell"}, "cell", True),
    ],
)
def test_rule_is_applied_in_its_order(
    template: PodTemplate, options: dict[str, str], name: str, added: bool
) -> None:
    """--primary, the given name, the annotation, ``primary``, the only container of a pod, an added container."""
    found = rendered(template, **options)
    before = [each["name"] for each in template.pod_spec.get("containers", [])]
    assert found.primary == name
    assert [each["name"] for each in found.pod["spec"]["containers"]] == [*before, *([name] if added else [])]
    assert any("added container" in each for each in found.notices) == (added and bool(before))


@pytest.mark.pod("P2")
@pytest.mark.parametrize(
    ("template", "options"),
    [
        (PodTemplate(containers("base")), {"primary": "bsae"}),
        (PodTemplate(containers("primray")), {}),
        (PodTemplate(containers("base"), annotations={ANNOTATION: "bas"}), {}),
    ],
)
def test_missing_container_with_a_similar_name_is_an_error(
    template: PodTemplate, options: dict[str, str]
) -> None:
    """A name at most two edits away from a container is a mistake: nothing is added."""
    with pytest.raises(InputError, match="No container is named") as caught:
        rendered(template, **options)
    assert "--primary" in caught.value.hint


def test_name_of_a_container_is_checked() -> None:
    """--primary takes the name of a container."""
    with pytest.raises(InputError, match="--primary: 'My Container' is not a valid name of a container"):
        rendered(None, primary="My Container")


@pytest.mark.pod("P2")
def test_several_containers_are_all_named() -> None:
    """The notice about an added container names all others."""
    notice = rendered(PodTemplate(containers("base", "redis"))).notices[0]
    assert notice.endswith("beside it: base, redis. To run in one of them: --primary NAME")


@pytest.mark.pod("P2")
def test_annotation_replaces_the_name() -> None:
    """``replace`` with the annotation chooses that container; other changes keep the container."""
    template = PodTemplate(containers("base", "log"))
    assert template.replace(annotations={ANNOTATION: "log"}).primary_container_name == "log"
    pod = PodTemplate.of({"kind": "Pod", "spec": containers("base")})
    for changed in (pod.replace(labels={"a": "b"}), pod.with_(gpu(1))):
        assert changed.primary_container_name == "base"
        assert changed.notices == pod.notices
    assert PodTemplate(containers("base"), None).primary_container_name == "primary"  # type: ignore[arg-type]


NAMES = st.sampled_from(["primary", "base", "default", "logs", "primarx"])
SPECS = st.lists(NAMES, unique=True, max_size=3).map(lambda names: containers(*names) if names else {})
ANNOTATIONS = st.fixed_dictionaries({}, optional={ANNOTATION: NAMES, "a": st.just("b")})
TEMPLATES = st.one_of(
    st.builds(PodTemplate, SPECS, st.none() | NAMES, annotations=st.none() | ANNOTATIONS),
    SPECS.map(PodTemplate.of),
    st.builds(
        lambda spec, annotations: PodTemplate.of({"metadata": {"annotations": annotations}, "spec": spec}),
        SPECS,
        ANNOTATIONS,
    ),
    SPECS.map(lambda spec: PodTemplate.of(yaml.safe_dump({"kind": "Pod", "spec": spec}))),
    SPECS.map(lambda spec: PodTemplate.of({"kind": "PodTemplate", "template": {"spec": spec}})),
)


def container_of_cell(template: PodTemplate) -> object:
    """Return the containers of a pod and the one that runs the cell, or the message of the error."""
    try:
        found = rendered(template)
    except InputError as error:
        return error.message
    return [each["name"] for each in found.pod["spec"]["containers"]], found.primary


@pytest.mark.pod("P2")
@settings(max_examples=40)
@given(TEMPLATES)
def test_cell_stays_in_its_container(template: PodTemplate) -> None:
    """The container is the same after every way out and back: YAML, dict, saved, Python, Flyte, the form."""
    saved = {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": "x"},
        "template": template.to_dict(),
    }
    assert ANNOTATION in template.to_yaml()
    for back in (
        PodTemplate.of(template.to_yaml()),
        PodTemplate.of(template.to_dict()),
        PodTemplate.of({"kind": "Pod", **template.to_dict()}),
        PodTemplate.of(saved),
        PodTemplate.of(yaml.safe_dump(saved)),
        eval(template.to_python(), {"PodTemplate": PodTemplate}),
        from_flyte(template.to_flyte()),
        template.replace(labels={"a": "b"}),
        Draft(template).template(),
        PodTemplate.of(Draft(template).to_yaml()),
    ):
        assert container_of_cell(back) == container_of_cell(template)

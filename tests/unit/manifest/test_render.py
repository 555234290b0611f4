"""Rendering: only the documented rules change the user's template."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from podtask.config.options import RunOptions
from podtask.errors import InputError
from podtask.manifest.identity import Identity, label_value, lock_of
from podtask.manifest.pod_manifest import PodManifest
from podtask.manifest.render import render
from podtask.runner.bundle import boot_program
from podtask.template.template import PodTemplate

from tests.unit import document_templates

IDENTITY = Identity("podtask-0a1b2c3d4e", "ab" * 32, "cd" * 32, 23456, kernel="k1", user="ada")
OUR_ENV = [
    {"name": "PODTASK_KEY", "value": "ab" * 32},
    {"name": "PODTASK_LOCK", "value": lock_of("cd" * 32)},
    {"name": "PODTASK_PORT", "value": "23456"},
    {"name": "PODTASK_WAIT", "value": "300"},
]
WITHOUT = {"containers": [{"name": "primary"}]}


def rendered(template: PodTemplate | dict[str, Any] | None = None, **options: Any) -> PodManifest:
    given = PodTemplate(template) if isinstance(template, dict) else template
    return render(given, RunOptions.of(**options), "3.11").stamped(IDENTITY)


def spec_of(template: PodTemplate | dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    spec: dict[str, Any] = rendered(template, **options).pod["spec"]
    return spec


def primary_of(fields: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return the rendered primary container of a template with only these fields in that container."""
    spec = spec_of({"containers": [{"name": "primary", **fields}]}, **options)
    primary: dict[str, Any] = spec["containers"][0]
    return primary


def test_image_of_the_cell() -> None:
    """The image is that of the primary container, even if other containers precede it."""
    side = {"name": "redis", "image": "redis:7", "env": [{"name": "A", "value": "1"}]}
    assert rendered({"containers": [side]}, image="team/app:7").image == "team/app:7"


def test_whole_pod() -> None:
    """A rendered and stamped pod is exactly this."""
    template = PodTemplate(
        {
            "containers": [
                {"name": "logger", "image": "fluentd:1"},
                {
                    "name": "main",
                    "image": "team/image:3",
                    "args": ["serve"],
                    "env": [{"name": "hello", "value": "world"}],
                    "ports": [{"containerPort": 8080}],
                    "resources": {"limits": {"cpu": 4}, "claims": [{"name": "c"}]},
                },
            ],
            "nodeSelector": {"disk": "ssd"},
            "restartPolicy": "Always",
        },
        primary_container_name="main",
        labels={"team": "one"},
        annotations={"a": "b"},
    )
    found = rendered(template, cpu="2", memory="8Gi", gpu=1)
    assert found.pod == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "podtask-0a1b2c3d4e",
            "labels": {
                "team": "one",
                "app.kubernetes.io/managed-by": "podtask",
                "podtask/task": "podtask-0a1b2c3d4e",
                "podtask/kernel": "k1",
                "podtask/user": "ada",
            },
            "annotations": {
                "a": "b",
                "kubectl.kubernetes.io/default-container": "main",
                "podtask/bounds": "start_timeout=1800 timeout=86400 linger=600 grace=10 keep=604800",
                "podtask/protocol": "2",
            },
        },
        "spec": {
            "containers": [
                {"name": "logger", "image": "fluentd:1"},
                {
                    "name": "main",
                    "image": "team/image:3",
                    "command": ["python3", "-I", "-c", boot_program()],
                    "env": [{"name": "hello", "value": "world"}, *OUR_ENV],
                    "ports": [{"containerPort": 8080}],
                    "resources": {
                        "requests": {"cpu": "2", "memory": "8Gi"},
                        "limits": {"cpu": 4, "memory": "8Gi", "nvidia.com/gpu": "1"},
                        "claims": [{"name": "c"}],
                    },
                    "volumeMounts": [{"name": "podtask-shm", "mountPath": "/dev/shm"}],
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                },
            ],
            "nodeSelector": {"disk": "ssd"},
            "restartPolicy": "Never",
            "enableServiceLinks": False,
            "automountServiceAccountToken": False,
            "activeDeadlineSeconds": 86400 + 600 + 3600,
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "volumes": [{"name": "podtask-shm", "emptyDir": {"medium": "Memory"}}],
        },
    }
    assert found.primary == "main"
    assert found.notices == (
        "args of container 'main' is replaced: the cell runs there",
        "restartPolicy Always becomes Never: a cell runs once",
        "no resource limits on logger: a sidecar can starve the cell (set resources.limits)",
    )


def test_local_run_says_nothing_of_the_limits_of_a_sidecar() -> None:
    """U12: on this machine, sidecars do not run, and a line names them."""
    template = PodTemplate({"containers": [{"name": "primary"}, {"name": "logger", "image": "l"}]})
    assert rendered(template, local=True).notices == ()
    assert len(rendered(template).notices) == 1


def test_default_pod_has_the_notebooks_python() -> None:
    """Without a template, the pod has one container, and there are no notices."""
    found = rendered()
    assert [each["image"] for each in found.pod["spec"]["containers"]] == ["python:3.11-slim"]
    assert (found.primary, found.notices) == ("primary", ())


@pytest.mark.feature("A48")
@pytest.mark.parametrize("name", document_templates.ALL)
@pytest.mark.parametrize("options", [{}, {"cpu": "1", "memory": "1Gi", "gpu": 2, "image": "x"}])
def test_template_is_never_changed(name: str, options: dict[str, Any]) -> None:
    """Rendering a template twice gives equal pods and leaves the template unchanged."""
    template = document_templates.ALL[name]
    before = copy.deepcopy(template)
    first = rendered(template, **options)
    kept = copy.deepcopy(first)
    second = rendered(template, **options)
    assert first == second
    second.pod["spec"]["containers"].clear()
    assert (template, first) == (before, kept)


@pytest.mark.feature("A03")
@pytest.mark.parametrize("near", ["primry", "Primary", "primary1", "pr1mary-"])
def test_near_miss_of_the_primarys_name_is_an_error(near: str) -> None:
    """If a container's name differs from the primary's by two letters, the error names the containers."""
    with pytest.raises(InputError) as caught:
        rendered({"containers": [{"name": "database"}, {"name": near}]})
    assert "'primary'" in caught.value.message
    assert f"'database', {near!r}" in caught.value.message
    assert f"primary_container_name={near!r}" in caught.value.hint


@pytest.mark.feature("A03")
@pytest.mark.parametrize("others", [[], ["database"], ["my-sidecar", "proxy"]])
def test_primary_is_injected_last(others: list[str]) -> None:
    """If no container has a similar name, the primary container is appended."""
    spec = spec_of({"containers": [{"name": name, "image": "x"} for name in others]})
    assert [each["name"] for each in spec["containers"]] == [*others, "primary"]
    assert spec["containers"][-1]["image"] == "python:3.11-slim"


def test_sidecar_only_template_of_the_documents() -> None:
    """Flyte's example without a primary container gets one; its sidecar stays unchanged."""
    containers = spec_of(document_templates.SIDECAR_ONLY)["containers"]
    assert containers[0] == document_templates.SIDECAR_ONLY.pod_spec["containers"][0]
    assert containers[1]["name"] == "flyte-container"


@pytest.mark.parametrize(
    ("given", "option", "image"),
    [
        ("team:1", "call:2", "call:2"),
        ("team:1", None, "team:1"),
        (None, "call:2", "call:2"),
        (None, None, "python:3.11-slim"),
    ],
)
def test_image_of_the_call_then_of_the_template_then_the_default(
    given: str | None, option: str | None, image: str
) -> None:
    """The option's image comes first, then the template's, then Python in the notebook's version."""
    assert primary_of({"image": given}, image=option)["image"] == image


@pytest.mark.feature("B04")
def test_command_of_the_primary_is_replaced_with_a_notice() -> None:
    """The command of Flyte's example is replaced, and a notice names it."""
    found = rendered(document_templates.OVERRIDE)
    container = found.pod["spec"]["containers"][0]
    assert container["command"] == ["python3", "-I", "-c", boot_program()]
    assert "args" not in container
    assert found.notices == ("command of container 'my-primary-container' is replaced: the cell runs there",)


@pytest.mark.feature("A09")
def test_last_of_two_variables_wins() -> None:
    """Variables keep their order, so that the kubelet takes the last value of each; podtask's own come last."""
    env = [
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "A", "value": "2"},
    ]
    assert primary_of({"env": env})["env"] == [*env, *OUR_ENV]


def test_variables_of_the_call_are_not_in_the_pod() -> None:
    """Values of --env may be secrets: they are not in the pod."""
    assert "hunter2" not in str(rendered(env="TOKEN=hunter2").pod)


@pytest.mark.feature("A10")
def test_reserved_variable_is_an_error() -> None:
    """An error names a PODTASK_ variable of the template and its container."""
    with pytest.raises(InputError, match="PODTASK_KEY of container 'primary' is reserved"):
        primary_of({"env": [{"name": "PODTASK_KEY", "value": "x"}]})


def test_other_fields_of_the_primary_are_kept() -> None:
    """Ports, mounts, hooks, the pull policy and the like stay as the user wrote them."""
    fields = {
        "ports": [{"containerPort": 1}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "envFrom": [{"secretRef": {"name": "s"}}],
        "workingDir": "/w",
        "imagePullPolicy": "Always",
        "securityContext": {"runAsUser": 7},
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
        "terminationMessagePolicy": "File",
    }
    volumes = [{"name": "v", "emptyDir": {}}]
    found = spec_of({"containers": [{"name": "primary", **fields}], "volumes": volumes})["containers"][0]
    assert {name: found[name] for name in fields} == fields


@pytest.mark.feature("B23")
def test_sidecars_and_init_containers_are_untouched() -> None:
    """Options and rules for the primary container leave the other containers unchanged."""
    other = {
        "image": "x",
        "command": ["a"],
        "args": ["b"],
        "env": [{"name": "PODTASK_X", "value": "1"}],
        "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "nvidia.com/gpu": "1"}},
    }
    containers = [{"name": "side", **other}, {"name": "primary"}]
    inits = [{"name": "init", **other}]
    spec = spec_of(
        {"containers": containers, "initContainers": inits}, image="y", cpu="8", memory="9Gi", gpu=3
    )
    assert (spec["containers"][0], spec["initContainers"]) == (containers[0], inits)


@pytest.mark.parametrize(
    ("given", "token"),
    [
        ({}, False),
        ({"serviceAccountName": "robot"}, None),
        ({"automountServiceAccountToken": True}, True),
    ],
)
def test_token_only_for_a_named_service_account(given: dict[str, Any], token: bool | None) -> None:
    """No token is mounted, unless the template names a service account or asks for the token."""
    assert spec_of({**WITHOUT, **given}).get("automountServiceAccountToken") is token


def test_bounds_of_the_template_win() -> None:
    """The template's deadline, service links and restart policy stay."""
    given = {"activeDeadlineSeconds": 60, "enableServiceLinks": True, "restartPolicy": "Never"}
    found = rendered({**WITHOUT, **given})
    assert found.pod["spec"].items() >= given.items()
    assert found.notices == ()


def test_labels_of_a_task_cannot_be_overridden() -> None:
    """A template cannot set the labels of a task; an unknown kernel or user gets no label."""
    template = PodTemplate(labels={"podtask/task": "other", "a": "b"})
    labels = render(template, RunOptions()).stamped(Identity("n", "k", "s", 1)).labels
    assert labels == {"a": "b", "podtask/task": "n", "app.kubernetes.io/managed-by": "podtask"}


def test_rendered_pod_belongs_to_no_task_until_it_is_stamped() -> None:
    """Stamping sets name, key, port, labels and owner in a copy; the rendered pod stays unchanged."""
    manifest = render(PodTemplate(labels={"a": "b"}), RunOptions())
    before = copy.deepcopy(manifest.pod)
    assert before["metadata"]["generateName"] == "podtask-"
    assert manifest.labels == {"a": "b", "app.kubernetes.io/managed-by": "podtask"}
    assert manifest.env["PODTASK_KEY"] == "(made when the cell is submitted)"
    owner = {"kind": "Pod", "name": "jupyter-ada", "uid": "1"}
    stamped = manifest.stamped(replace(IDENTITY, alias="train", notebook="n1", owner=owner))
    assert (stamped.name, stamped.key, stamped.port) == (IDENTITY.name, IDENTITY.key, IDENTITY.port)
    assert "generateName" not in stamped.pod["metadata"]
    assert stamped.pod["metadata"]["ownerReferences"] == [owner]
    assert stamped.labels == {
        **manifest.labels,
        "podtask/task": IDENTITY.name,
        "podtask/kernel": "k1",
        "podtask/user": "ada",
        "podtask/name": "train",
        "podtask/notebook": "n1",
    }
    assert manifest.pod == before
    assert stamped.stamped(replace(IDENTITY, name="podtask-again")).name == "podtask-again"


def test_displayed_manifest_has_no_key() -> None:
    """The copy for display has neither the task's key nor a batch task's cell; the manifest keeps both."""
    manifest = rendered()
    manifest.pod["metadata"]["annotations"]["podtask/cell"] = "c2VjcmV0"
    shown = str(manifest.without_secrets().pod)
    assert IDENTITY.key not in shown
    assert "c2VjcmV0" not in shown
    assert manifest.key == IDENTITY.key


def test_key_is_not_shown() -> None:
    """The representation of an identity does not contain the task's key."""
    assert IDENTITY.key not in repr(IDENTITY)


SIDE = {"name": "side", "image": "s"}
SLEEP = {"preStop": {"sleep": {"seconds": 10}}}


@pytest.mark.pod("P1")
@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (WITHOUT, 5),
        ({**WITHOUT, "terminationGracePeriodSeconds": 20}, 20),
        ({**WITHOUT, "terminationGracePeriodSeconds": 0}, 1),
        ({"containers": [SIDE]}, 30),
        ({"containers": [{**SIDE, "lifecycle": SLEEP}]}, 30),
        ({"containers": [SIDE], "terminationGracePeriodSeconds": 60}, 60),
        ({"containers": [SIDE], "terminationGracePeriodSeconds": 5}, 5),
        ({**WITHOUT, "initContainers": [{**SIDE, "restartPolicy": "Always"}]}, 30),
        ({**WITHOUT, "initContainers": [SIDE]}, 5),
        ({"containers": [{"name": "primary", "lifecycle": SLEEP}]}, 30),
        ({"containers": [{"name": "primary", "lifecycle": {"postStart": SLEEP["preStop"]}}]}, 5),
    ],
)
def test_grace_period_of_a_finished_pod(given: dict[str, Any], seconds: int) -> None:
    """Sidecars and preStop hooks get Kubernetes' 30 s, other pods 5 s; the template's period counts, but is never 0."""
    assert rendered(given).grace_seconds == seconds


@pytest.mark.pod("P1")
def test_grace_period_counts_sidecars_that_admission_adds() -> None:
    """A sidecar that a webhook has added to the created pod gets Kubernetes' 30 s, too."""
    found = rendered()
    assert found.grace_seconds == 5
    found.pod["spec"]["containers"].append({"name": "istio-proxy", "image": "i"})
    found.pod["spec"]["terminationGracePeriodSeconds"] = 30  # the default that the API server sets
    assert found.grace_seconds == 30


@pytest.mark.parametrize(
    ("text", "value"),
    [("ada", "ada"), ("Ada L. <a@b>", "Ada-L.-a-b"), ("-_.", ""), ("é", ""), ("x" * 62 + "--y", "x" * 62)],
)
def test_label_value_is_valid(text: str, value: str) -> None:
    """Any text becomes a valid label value of at most 63 characters."""
    assert label_value(text) == value

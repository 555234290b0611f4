"""The form and the names of containers: where the cell runs, and what follows a renamed container."""

from __future__ import annotations

from typing import Any

import pytest
from podtask import PodTemplate
from podtask_widgets import TemplateBuilder

from tests.unit.manifest.test_render import rendered
from tests.unit.template.test_pod_document import DEPLOYMENT_POD
from tests.widgets.user import User

APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
ADDED = "primary (an added container)"


def container(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "i", **fields}


def choices(user: User) -> list[str]:
    return [label for label, _ in user.input("Cell runs in").options]


@pytest.mark.pod("P2")
def test_cell_runs_in_the_chosen_container() -> None:
    """U4: a choice offers each container and an added one; the other inputs show the chosen container."""
    user = User(
        TemplateBuilder(PodTemplate({"containers": [container("base"), container("log", image="l")]}))
    )
    user.open("Basics")
    assert choices(user) == ["base", "log", ADDED]
    assert user.input("Image").value == ""
    user.choose("Cell runs in", "log")
    assert user.input("Image").value == "l"
    assert user.input("Container name").value == "log"
    assert rendered(user.builder.template).primary == "log"
    assert user.builder.template.primary_container_name == "log"
    user.choose("Cell runs in", ADDED)
    assert len(rendered(user.builder.template).pod["spec"]["containers"]) == 3
    user.choose("Cell runs in", "base")
    user.write("Image", "team/base:2")
    spec = user.builder.template.pod_spec
    assert [(each["name"], each["image"]) for each in spec["containers"]] == [
        ("base", "team/base:2"),
        ("log", "l"),
    ]
    user.open("Sidecars")
    assert user.input("Sidecar 1").value == "log"


@pytest.mark.pod("P2")
def test_choice_follows_the_name() -> None:
    """While the name is typed, the choice shows it; the input keeps the focus."""
    user = User(TemplateBuilder(PodTemplate({"containers": [container("primary"), container("log")]})))
    user.open("Basics")
    name = user.input("Container name")
    for text in ("m", "ma", "main"):
        user.write("Container name", text)
    assert user.input("Container name") is name
    assert choices(user) == ["main", "log", ADDED]
    assert user.input("Cell runs in").label == "main"


@pytest.mark.pod("P2", "P4", "P10")
def test_pasted_pod_runs_in_its_only_container() -> None:
    """A pod that is pasted as YAML chooses its container, and the form shows what was left out of it."""
    user = User(TemplateBuilder())
    user.open("YAML")
    user.write(
        "Template (YAML)",
        "kind: Pod\nmetadata: {name: web, namespace: shop}\nspec: {containers: [{name: base}]}",
    )
    assert user.builder.template.primary_container_name == "base"
    assert user.builder.template.namespace == "shop"
    assert "metadata.name web is ignored" in user.html("pt-said")
    loaded = User(TemplateBuilder(DEPLOYMENT_POD))
    assert "all labels are left out" in loaded.html("pt-said")
    assert "namespace: shop" in loaded.builder.template.to_yaml()


@pytest.mark.pod("P18")
def test_references_follow_the_renamed_primary() -> None:
    """References to resources, in all places that have them, and AppArmor annotations get the new name."""
    limits = {"containerName": "primary", "resource": "limits.memory"}
    other = {"containerName": "log", "resource": "limits.cpu"}
    files = [{"path": "mem", "resourceFieldRef": dict(limits)}]
    spec = {
        "containers": [
            container("log", env=[{"name": "M", "valueFrom": {"resourceFieldRef": dict(limits)}}]),
            container("primary", env=[{"name": "C", "valueFrom": {"resourceFieldRef": other}}]),
        ],
        "volumes": [
            {"name": "a", "downwardAPI": {"items": files}},
            {"name": "b", "projected": {"sources": [{"downwardAPI": {"items": files}}]}},
        ],
    }
    annotations = {APPARMOR + "primary": "localhost/x", APPARMOR + "log": "unconfined", "a": "b"}
    user = User(TemplateBuilder(PodTemplate(spec, annotations=annotations)))
    user.open("Basics")
    for text in ("l", "lo", "log", "logi", "main"):  # for a moment, it is the name of the sidecar
        user.write("Container name", text)
    template = user.builder.template
    assert template.annotations == {
        APPARMOR + "main": "localhost/x",
        APPARMOR + "log": "unconfined",
        "a": "b",
    }
    assert str(template.pod_spec).count("'containerName': 'main'") == 3
    assert str(template.pod_spec).count("'containerName': 'log'") == 1
    assert user.state == "✓ valid"


@pytest.mark.pod("P18")
@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_references_follow_a_renamed_sidecar(kind: str) -> None:
    """The same holds for sidecars and init containers."""
    reference = {"resourceFieldRef": {"containerName": "side", "resource": "limits.cpu"}}
    primary = container("primary", env=[{"name": "C", "valueFrom": reference}])
    spec = {"containers": [primary]}
    spec[kind] = [*spec.get(kind, []), container("side")]
    user = User(TemplateBuilder(PodTemplate(spec, annotations={APPARMOR + "side": "runtime/default"})))
    user.open("Sidecars")
    label = "Sidecar 1" if kind == "containers" else "Init container 1"
    for text in ("", "p", "proxy"):
        user.write(label, text)
    template = user.builder.template
    assert template.annotations == {APPARMOR + "proxy": "runtime/default"}
    assert "'containerName': 'proxy'" in str(template.pod_spec)

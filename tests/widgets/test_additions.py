"""What is added in the form can be removed again, and what belongs together is in one card."""

from __future__ import annotations

from typing import Any

import pytest
from podtask import PodTemplate
from podtask.presets import gpu, pvc, restricted, sidecar
from podtask_widgets import TemplateBuilder

from tests.widgets.user import User

BASE = PodTemplate(
    {
        "containers": [{"name": "primary", "image": "i", "resources": {"limits": {"memory": "1Gi"}}}],
        "tolerations": [{"key": "spot", "operator": "Exists"}],
    }
)
ADD_GPU = "Add an NVIDIA GPU with toleration and shared memory"
REMOVE_GPU = "Remove the NVIDIA GPU with its toleration and shared memory"
ADD_RESTRICTED = "Apply the “restricted” Pod Security Standard"
REMOVE_RESTRICTED = "Remove the “restricted” Pod Security Standard"


def spec(user: User) -> Any:
    return user.builder.template.pod_spec


@pytest.mark.parametrize(
    ("page", "add", "remove"),
    [("Resources", ADD_GPU, REMOVE_GPU), ("Security", ADD_RESTRICTED, REMOVE_RESTRICTED)],
)
@pytest.mark.parametrize("template", [PodTemplate(), BASE], ids=["empty", "with fields"])
def test_shortcut_removes_what_it_added(page: str, add: str, remove: str, template: PodTemplate) -> None:
    """U36: the button of a shortcut then removes what it has added, and nothing else."""
    user = User(TemplateBuilder(template))
    user.open(page)
    user.click(add)
    assert user.builder.template != template
    user.click(remove)
    assert user.builder.template == template
    user.click(add)
    assert user.state == "✓ valid"


def test_removed_resource_takes_what_the_shortcut_added() -> None:
    """U36: without the row of the GPU, its toleration and its shared memory are removed, also edited ones."""
    user = User(TemplateBuilder(BASE))
    user.open("Resources")
    user.click(ADD_GPU)
    user.write("resource 1, 1", "4")
    user.write("Size of /dev/shm", "2Gi")
    user.click("Remove resource 1")
    assert user.builder.template == BASE
    assert user.input("Size of /dev/shm").value == ""


def test_shortcut_of_a_template_from_code_can_be_removed() -> None:
    """U36: the GPU and the security settings of a template that code has made can be removed, too."""
    user = User(TemplateBuilder(BASE.with_(gpu(2))))
    user.open("Resources")
    user.click(REMOVE_GPU)
    assert user.builder.template == BASE
    user.builder.template = BASE.with_(restricted())
    user.open("Security")
    user.click(REMOVE_RESTRICTED)
    assert user.builder.template == BASE


def test_shortcut_needs_a_valid_template(user: User) -> None:
    """A shortcut that cannot be applied says why, and the form stays as it is."""
    user.open("Basics")
    user.write("Container name", "")
    user.open("Resources")
    user.click(ADD_GPU)
    assert "primary_container_name is empty" in user.html("pt-said")
    assert "resources" not in str(user.html("pt-code"))


@pytest.mark.parametrize(
    ("page", "button", "label"),
    [
        ("Volumes", "Add volume", "Volume 1"),
        ("Sidecars", "Add sidecar", "Sidecar 1"),
        ("Sidecars", "Add init container", "Init container 1"),
    ],
)
def test_added_name_is_selected(user: User, page: str, button: str, label: str) -> None:
    """U27: a generated name is selected until the user types another."""
    user.open(page)
    user.click(button)
    assert user.input(label).value
    assert "pt-generated" in user.input(label)._dom_classes
    user.write(label, "mine")
    assert "pt-generated" not in user.input(label)._dom_classes


@pytest.mark.parametrize(
    ("page", "button", "label"),
    [("Environment", "Add variable", "Variable 1, name"), ("Metadata", "Add label", "label 1, key")],
)
def test_added_name_is_empty(user: User, page: str, button: str, label: str) -> None:
    """U27: names that are not generated are empty."""
    user.open(page)
    user.click(button)
    assert user.input(label).value == ""


def test_volume_and_its_mounts_are_one_card(user: User) -> None:
    """U28: a new volume has a mount to fill in; both have the name of the volume, also when it is renamed."""
    user.open("Volumes")
    user.click("Add volume")
    user.write("Claim (PVC)", "imagenet")
    user.write("Mount 1, path", "/data")
    assert spec(user)["containers"][0]["volumeMounts"] == [{"name": "volume-1", "mountPath": "/data"}]
    user.write("Volume 1", "data")
    user.click("Add mount")
    user.write("Mount 2, path", "/more")
    assert [each["name"] for each in spec(user)["containers"][0]["volumeMounts"]] == ["data", "data"]
    assert user.state == "✓ valid"
    user.write("Mount 1, path", "")
    user.write("Mount 2, path", "")
    assert spec(user)["containers"] == [{"name": "primary"}]


def test_mounts_follow_a_name_that_is_typed_through_another() -> None:
    """U28: while a volume has the name of another for a moment, each keeps its own mounts."""
    user = User(TemplateBuilder(PodTemplate().with_(pvc("data", "/data"), pvc("other", "/other"))))
    user.open("Volumes")
    for text in ("", "d", "data", "data2"):
        user.write("Volume 2", text)
    assert [each["name"] for each in spec(user)["volumes"]] == ["data", "data2"]
    assert [(each["name"], each["mountPath"]) for each in spec(user)["containers"][0]["volumeMounts"]] == [
        ("data", "/data"),
        ("data2", "/other"),
    ]


def test_removed_volume_takes_its_mounts() -> None:
    """U28, U36: without the volume, its mounts are removed from all containers; others stay."""
    template = PodTemplate().with_(
        pvc("data", "/data"), pvc("other", "/other"), sidecar("log", "log", mounts={"data": "/in"})
    )
    user = User(TemplateBuilder(template))
    user.open("Volumes")
    user.click("Remove volume 1")
    assert [each["name"] for each in spec(user)["volumes"]] == ["other"]
    assert [each.get("volumeMounts") for each in spec(user)["containers"]] == [
        [{"name": "other", "mountPath": "/other"}],
        None,
    ]
    assert user.state == "✓ valid"


def test_mount_without_a_volume_can_be_removed() -> None:
    """U28: a mount whose volume does not exist is shown on its own."""
    mounts = [{"name": "lost", "mountPath": "/lost"}]
    user = User(TemplateBuilder(PodTemplate({"containers": [{"name": "primary", "volumeMounts": mounts}]})))
    user.open("Volumes")
    assert len(user.notes()) == 1
    user.click("Remove mount 1")
    assert spec(user) == {"containers": [{"name": "primary"}]}


@pytest.mark.parametrize(
    ("kind", "label", "text"),
    [
        ("claim (PVC)", "Claim (PVC)", "c"),
        ("Secret", "Secret", "s"),
        ("ConfigMap", "ConfigMap", "m"),
        ("CSI driver", "Driver", "d"),
        ("host path", "Path", "/p"),
    ],
)
def test_required_field_of_a_source(user: User, kind: str, label: str, text: str) -> None:
    """U28: a required field of a volume's source is reported at its input until it is filled in."""
    user.open("Volumes")
    user.click("Add volume")
    user.choose("Kind", "NFS")
    user.choose("Kind", kind)
    assert len(user.notes()) == 1
    assert "pt-err" in user.input(label)._dom_classes
    user.write(label, text)
    assert (user.state, user.notes()) == ("✓ valid", [])


def test_required_fields_of_a_variable(user: User) -> None:
    """U28: a variable from a Secret needs the Secret's name and a key."""
    user.open("Environment")
    user.click("Add variable")
    user.write("Variable 1, name", "TOKEN")
    user.choose("Variable 1, from", "Secret")
    assert user.state.startswith("● 2 problems")
    user.write("Variable 1, value", "hf")
    assert "Write a key" in user.notes()[0]
    user.write("Variable 1, key", "token")
    assert user.state == "✓ valid"

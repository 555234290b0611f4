"""The form is a view over its template: what is set in one is in the other."""

from __future__ import annotations

from typing import Any

import pytest
from podtask import InputError, PodTemplate
from podtask.presets import pvc
from podtask_widgets import TemplateBuilder

from tests.unit.seeds import ALL, BASIC, BUCKET, METADATA_ONLY, METRICS, REGISTRY, VOLUME
from tests.widgets.user import TITLES, User


@pytest.mark.parametrize("name", ALL)
def test_looking_at_a_template_changes_nothing(name: str) -> None:
    """All pages shown, the template is the one given."""
    user = User(TemplateBuilder(ALL[name]))
    for title in TITLES:
        user.open(title)
    assert user.builder.template == ALL[name]
    assert user.state == "✓ valid"


@pytest.mark.feature("A08", "A11")
def test_first_example(user: User) -> None:
    """Labels, annotations, a variable and a pull secret give the template of their code."""
    user.open("Metadata")
    user.click("Add label")
    user.write("label 1, key", "lKeyA")
    user.write("label 1, value", "lValA")
    user.click("Add annotation")
    user.write("annotation 1, key", "aKeyA")
    user.write("annotation 1, value", "aValA")
    user.open("Environment")
    user.click("Add variable")
    user.write("Variable 1, name", "hello")
    user.write("Variable 1, value", "world")
    user.open("Security")
    user.click("Add pull secret")
    user.write("Pull secret 1", "regcred-test")
    assert user.builder.template.to_dict() == BASIC.to_dict()
    assert user.titles["Environment"] == "Environment 1"
    assert user.titles["Metadata"] == "Metadata 2"


def add_volume(user: User, name: str, driver: str, key: str, value: str) -> None:
    """Adds a CSI volume."""
    user.open("Volumes")
    user.click("Add volume")
    user.write("Volume 1", name)
    user.choose("Kind", "CSI driver")
    user.write("Driver", driver)
    user.click("Add attribute")
    user.write("attribute 1, key", key)
    user.write("attribute 1, value", value)
    user.click("Add mount")
    user.write("Mount 1, volume", name)


@pytest.mark.feature("A12")
def test_volume_example(user: User) -> None:
    """A CSI volume and its mount, which says that it may be written."""
    add_volume(user, "data-volume", "your-csi-driver", "key", "value")
    user.write("Mount 1, path", "/mnt/data")
    user.choose("Mount 1, access", "read and write")
    assert user.builder.template.to_dict() == VOLUME.to_dict()
    assert user.titles["Volumes"] == "Volumes 1"


@pytest.mark.feature("A14")
def test_bucket_example(user: User) -> None:
    """A bucket: the volume, and the annotations that its driver needs."""
    add_volume(user, "gcs", "gcsfuse.csi.storage.gke.io", "bucketName", "my-bucket")
    user.write("Mount 1, path", "/mnt/gcs")
    user.open("Metadata")
    for number, (key, value) in enumerate((BUCKET.annotations or {}).items(), 1):
        user.click("Add annotation")
        user.write(f"annotation {number}, key", key)
        user.write(f"annotation {number}, value", value)
    assert user.builder.template.to_dict() == BUCKET.to_dict()


@pytest.mark.feature("A17")
def test_sidecar_example(user: User) -> None:
    """A sidecar with a port."""
    user.open("Sidecars")
    user.click("Add sidecar")
    user.write("Sidecar 1", "metrics-sidecar")
    user.write("Image", "prom/pushgateway:latest")
    user.click("Add port")
    user.write("Port 1", "9091")
    assert user.builder.template.to_dict() == METRICS.to_dict()


def test_registry_and_metadata_examples(user: User) -> None:
    """A pull secret alone; labels and annotations alone."""
    user.open("Security")
    user.click("Add pull secret")
    user.write("Pull secret 1", "my-registry-secret")
    assert user.builder.template.to_dict() == REGISTRY.to_dict()
    other = User(TemplateBuilder())
    other.open("Metadata")
    for noun in ("label", "annotation"):
        pairs: dict[str, str] = dict(getattr(METADATA_ONLY, f"{noun}s"))
        for number, (key, value) in enumerate(pairs.items(), 1):
            other.click(f"Add {noun}")
            other.write(f"{noun} {number}, key", key)
            other.write(f"{noun} {number}, value", value)
    assert other.builder.template.to_dict() == METADATA_ONLY.to_dict()


@pytest.mark.feature("A21", "A22")
def test_variable_of_a_secret(user: User) -> None:
    """Where a variable's value comes from may be changed; its name stays."""
    user.open("Environment")
    user.click("Add variable")
    user.write("Variable 1, name", "TOKEN")
    user.write("Variable 1, value", "plain")
    user.choose("Variable 1, from", "secret")
    user.write("Variable 1, value", "hf")
    user.write("Variable 1, key", "token")
    user.click("Add source")
    user.choose("Source 1", "config map")
    user.write("Source 1, name", "settings")
    assert user.builder.template.pod_spec["containers"] == [
        {
            "name": "primary",
            "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}],
            "envFrom": [{"configMapRef": {"name": "settings"}}],
        }
    ]
    user.choose("Variable 1, from", "value")
    assert user.builder.template.pod_spec["containers"][0]["env"] == [{"name": "TOKEN", "value": "hf"}]


def test_template_is_set_and_observed(user: User) -> None:
    """Code sets the template and the form shows it; code hears of what is typed."""
    heard: list[Any] = []
    user.builder.observe(lambda change: heard.append(change["new"]), "template")
    user.builder.template = PodTemplate().with_(pvc("data", "/data"))
    user.open("Volumes")
    assert user.input("Claim").value == "data"
    user.write("Claim", "other")
    assert heard[-1].pod_spec["volumes"][0]["persistentVolumeClaim"]["claimName"] == "other"
    user.builder.template = PodTemplate().with_(pvc("third", "/data"))
    assert user.input("Claim").value == "third"
    assert user.titles["Volumes"] == "Volumes 1"


def test_problem_is_shown_at_its_field_and_led_to(user: User) -> None:
    """A field says what is wrong with it; the head counts, and leads there from another page."""
    user.open("Resources")
    user.write("Memory limit", "16GB")
    assert user.state.startswith("● 1 problem: spec.containers[0].resources.limits.memory")
    assert any("is not a quantity" in note for note in user.notes())
    user.open("Metadata")
    user.click(user.state)
    assert user.opened == "Resources"
    user.write("Memory limit", "16Gi")
    assert (user.state, user.notes()) == ("✓ valid", [])


def test_unreadable_text_is_a_problem_of_its_field(user: User) -> None:
    """What cannot be read is said at the field and changes nothing."""
    user.open("Scheduling")
    user.write("Affinity, in YAML", "nodeAffinity: [")
    assert user.notes()[0].startswith("No YAML")
    assert user.state.startswith("● 1 problem")
    user.write("Affinity, in YAML", "nodeAffinity: {}")
    assert user.builder.template.pod_spec["affinity"] == {"nodeAffinity": {}}


def test_whole_template_in_yaml(user: User) -> None:
    """The last page takes any pod; the other pages show it, and what they do not know is kept."""
    user.open("YAML")
    user.write(
        "The whole template",
        "kind: Pod\nspec:\n  newField: 1\n  containers:\n  - {name: primary, image: a, newer: [1]}\n",
    )
    user.open("Basics")
    assert user.input("Image").value == "a"
    user.write("Image", "b")
    assert user.builder.template.pod_spec == {
        "newField": 1,
        "containers": [{"name": "primary", "image": "b", "newer": [1]}],
    }
    user.open("YAML")
    assert "newer" in user.input("The whole template").value
    user.write("The whole template", "- a list")
    assert "is no pod spec" in user.notes()[0]
    assert user.builder.template.pod_spec["containers"][0]["image"] == "b"


def test_removed_entries_leave_nothing(user: User) -> None:
    """What was added and removed again is not in the template."""
    user.open("Volumes")
    user.click("Add volume")
    user.click("Add mount")
    user.click("Remove volume 1")
    user.click("Remove mount 1")
    assert user.builder.template.pod_spec == {"containers": [{"name": "primary"}]}
    user.open("Metadata")
    user.click("Add label")
    user.write("label 1, key", "a")
    user.click("Remove label 1")
    assert user.builder.template.labels == {}


def test_name_twice_is_a_problem(user: User) -> None:
    """Two labels of one name: the second is said to be wrong."""
    user.builder.template = PodTemplate(labels={"a": "b"})
    user.open("Metadata")
    user.click("Add label")
    user.write("label 2, key", "a")
    assert user.notes() == ["&#x27;a&#x27; is there twice."]
    assert user.state.startswith("● 1 problem")


def test_shared_memory_and_gpu(user: User) -> None:
    """Shared memory is a volume in memory with its mount; a GPU brings what it needs."""
    user.open("Resources")
    user.write("Size of /dev/shm", "2Gi")
    assert user.builder.template.pod_spec["volumes"] == [
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}
    ]
    user.write("Size of /dev/shm", "")
    assert "volumes" not in user.builder.template.pod_spec
    user.click("Add an NVIDIA GPU, with its toleration and shared memory")
    spec = user.builder.template.pod_spec
    assert spec["containers"][0]["resources"] == {"limits": {"nvidia.com/gpu": "1"}}
    assert spec["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert user.input("resource 1, 1").value == "1"


@pytest.mark.feature("B03")
def test_marks_beside_the_form(user: User) -> None:
    """The YAML says what the rules make of a line."""
    user.open("Scheduling")
    user.builder.template = PodTemplate({"restartPolicy": "Always"})
    assert "← becomes" in user.html("pt-code")


def test_not_a_template() -> None:
    """What is no template, and a name that nobody has, are refused in words."""
    with pytest.raises(InputError, match="is no pod template"):
        TemplateBuilder(3)
    with pytest.raises(InputError, match="no pod template 'nobody'"):
        TemplateBuilder("nobody")

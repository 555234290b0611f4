"""The form and its template are in sync: a change of one changes the other."""

from __future__ import annotations

from typing import Any

import pytest
from podtask import InputError, PodTemplate
from podtask.presets import pvc
from podtask_widgets import TemplateBuilder

from tests.unit.document_templates import ALL, BASIC, BUCKET, METADATA_ONLY, METRICS, REGISTRY, VOLUME
from tests.widgets.form_steps import add_csi_volume, add_metrics_sidecar, add_pairs
from tests.widgets.user import TITLES, User


@pytest.mark.parametrize("name", ALL)
def test_displaying_a_template_changes_nothing(name: str) -> None:
    """Opening every page leaves the template as it was given."""
    user = User(TemplateBuilder(ALL[name]))
    for title in TITLES:
        user.open(title)
    assert user.builder.template == ALL[name]
    assert user.state == "✓ valid"


@pytest.mark.feature("A08", "A11")
def test_first_example(user: User) -> None:
    """Labels, annotations, a variable and a pull secret, entered in the form, give the template of the code."""
    user.open("Metadata")
    add_pairs(user, "label", {"lKeyA": "lValA"})
    add_pairs(user, "annotation", {"aKeyA": "aValA"})
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


@pytest.mark.feature("A12")
def test_volume_example(user: User) -> None:
    """A CSI volume and its writable mount give the template of the code."""
    add_csi_volume(user, "data-volume", "your-csi-driver", {"key": "value"}, "/mnt/data")
    user.choose("Mount 1, access", "read and write")
    assert user.builder.template.to_dict() == VOLUME.to_dict()
    assert user.titles["Volumes"] == "Volumes 1"


@pytest.mark.feature("A14")
def test_bucket_example(user: User) -> None:
    """A bucket's volume, and the annotations that its driver needs, give the template of the code."""
    add_csi_volume(user, "gcs", "gcsfuse.csi.storage.gke.io", {"bucketName": "my-bucket"}, "/mnt/gcs")
    user.open("Metadata")
    add_pairs(user, "annotation", BUCKET.annotations)
    assert user.builder.template.to_dict() == BUCKET.to_dict()


@pytest.mark.feature("A17")
def test_sidecar_example(user: User) -> None:
    """A sidecar with a port gives the template of the code."""
    add_metrics_sidecar(user)
    assert user.builder.template.to_dict() == METRICS.to_dict()


def test_registry_and_metadata_examples(user: User) -> None:
    """A pull secret alone, and labels and annotations alone, give the templates of the code."""
    user.open("Security")
    user.click("Add pull secret")
    user.write("Pull secret 1", "my-registry-secret")
    assert user.builder.template.to_dict() == REGISTRY.to_dict()
    other = User(TemplateBuilder())
    other.open("Metadata")
    add_pairs(other, "label", METADATA_ONLY.labels)
    add_pairs(other, "annotation", METADATA_ONLY.annotations)
    assert other.builder.template.to_dict() == METADATA_ONLY.to_dict()


@pytest.mark.feature("A21", "A22")
def test_variable_of_a_secret(user: User) -> None:
    """The source of a variable's value can be changed; the name of the object is kept as the value."""
    user.open("Environment")
    user.click("Add variable")
    user.write("Variable 1, name", "TOKEN")
    user.write("Variable 1, value", "plain")
    user.choose("Variable 1, from", "Secret")
    user.write("Variable 1, value", "hf")
    user.write("Variable 1, key", "token")
    user.click("Add source")
    user.choose("Source 1", "ConfigMap")
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
    """The form shows a template that code sets, and code can observe what is typed."""
    observed: list[Any] = []
    user.builder.observe(lambda change: observed.append(change["new"]), "template")
    user.builder.template = PodTemplate().with_(pvc("data", "/data"))
    user.open("Volumes")
    assert user.input("Claim (PVC)").value == "data"
    user.write("Claim (PVC)", "other")
    assert observed[-1].pod_spec["volumes"][0]["persistentVolumeClaim"]["claimName"] == "other"
    user.builder.template = PodTemplate().with_(pvc("third", "/data"))
    assert user.input("Claim (PVC)").value == "third"
    assert user.titles["Volumes"] == "Volumes 1"


def test_problem_is_shown_at_its_field_and_reached_by_a_click(user: User) -> None:
    """A problem is shown at its field and counted in the header; a click there opens the field's page."""
    user.open("Resources")
    user.write("Memory limit", "16GB")
    assert user.state == (
        "● 1 problem: Memory limit: '16GB' is not a quantity. Did you mean 16Gi? Write 500m, 2, 512Mi or 8Gi."
    )
    assert user.notes() == ["'16GB' is not a quantity. Did you mean 16Gi? Write 500m, 2, 512Mi or 8Gi."]
    lines = [each.value for each in user.visible() if "pt-h" in each._dom_classes]
    assert any('title="spec.containers[0].resources.limits.memory"' in line for line in lines)
    user.open("Metadata")
    user.click(user.state)
    assert user.opened == "Resources"
    user.write("Memory limit", "16Gi")
    assert (user.state, user.notes()) == ("✓ valid", [])


def test_text_that_cannot_be_parsed_is_a_problem_of_its_field(user: User) -> None:
    """Text that cannot be parsed is reported at its field and does not change the template."""
    user.open("Scheduling")
    user.write("Affinity (YAML)", "nodeAffinity: [a")
    assert user.notes() == ["Line 1: the bracket that opens here has no closing ]."]
    assert user.state.startswith("● 1 problem")
    user.write("Affinity (YAML)", "nodeAffinity: {}")
    assert user.builder.template.pod_spec["affinity"] == {"nodeAffinity": {}}


def test_whole_template_in_yaml(user: User) -> None:
    """The YAML page accepts any pod; the other pages show it and keep fields that they do not know."""
    user.open("YAML")
    user.write(
        "Template (YAML)",
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
    assert "newer" in user.input("Template (YAML)").value
    user.write("Template (YAML)", "- a list")
    assert "must be a mapping, got list" in user.notes()[0]
    assert user.builder.template.pod_spec["containers"][0]["image"] == "b"


def test_removed_entries_are_removed_completely(user: User) -> None:
    """Entries that were added and removed again are not in the template."""
    user.open("Volumes")
    user.click("Add volume")
    user.write("Mount 1, path", "/data")
    user.click("Remove volume 1")
    assert user.builder.template.pod_spec == {"containers": [{"name": "primary"}]}
    user.open("Metadata")
    user.click("Add label")
    user.write("label 1, key", "a")
    user.click("Remove label 1")
    assert user.builder.template.labels == {}


def test_duplicate_key_is_a_problem(user: User) -> None:
    """Of two labels with the same key, the second one is reported."""
    user.builder.template = PodTemplate(labels={"a": "b"})
    user.open("Metadata")
    user.click("Add label")
    user.write("label 2, key", "a")
    assert user.notes() == ["Duplicate key 'a'."]
    assert user.state.startswith("● 1 problem")


def test_shared_memory_and_gpu(user: User) -> None:
    """The size of shared memory sets an in-memory volume; the GPU button adds all fields that a GPU needs."""
    user.open("Resources")
    user.write("Size of /dev/shm", "2Gi")
    assert user.builder.template.pod_spec["volumes"] == [
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}
    ]
    user.write("Size of /dev/shm", "")
    assert "volumes" not in user.builder.template.pod_spec
    user.click("Add an NVIDIA GPU with toleration and shared memory")
    spec = user.builder.template.pod_spec
    assert spec["containers"][0]["resources"] == {"limits": {"nvidia.com/gpu": "1"}}
    assert spec["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert user.input("resource 1, 1").value == "1"


@pytest.mark.feature("B03")
def test_overwritten_fields_are_noted_in_the_yaml(user: User) -> None:
    """The YAML notes the value with which podtask replaces a field."""
    user.open("Scheduling")
    user.builder.template = PodTemplate({"restartPolicy": "Always"})
    assert "← becomes" in user.html("pt-code")


def test_not_a_template() -> None:
    """An object that is not a template, and an unknown name, are rejected with a message."""
    with pytest.raises(InputError, match="Expected a pod template"):
        TemplateBuilder(3)
    with pytest.raises(InputError, match="Pod template 'nobody' not found"):
        TemplateBuilder("nobody")

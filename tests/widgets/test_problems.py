"""What the form says about problems: the labels of fields, whole sentences, and paths in tooltips."""

from __future__ import annotations

from typing import Any

import pytest
from podtask import PodTemplate
from podtask.presets import pvc, sidecar
from podtask_widgets import TemplateBuilder

from tests.widgets.user import User

OVER = {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}


def form(spec: dict[str, Any]) -> User:
    return User(TemplateBuilder(PodTemplate({"containers": [{"name": "primary"}], **spec})))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (
            {"containers": [{"name": "primary", "resources": OVER}]},
            "Memory request: The container requests 2Gi of memory, which is over the limit of 1Gi. "
            "Lower “Memory request”, or raise “Memory limit”.",
        ),
        (
            {"containers": [{"name": "primary"}, {"name": "side", "image": "i", "resources": OVER}]},
            "Sidecar 1, Memory request: The container requests 2Gi of memory, which is over the limit of 1Gi. "
            "Lower “Sidecar 1, Memory request”, or raise “Sidecar 1, Memory limit”.",
        ),
        (
            {"containers": [{"name": "primary"}, {"name": "side"}]},
            "Sidecar 1, Image: The value is missing. Give it an image: only the primary container has a default.",
        ),
        (
            {"volumes": [{"name": "data", "persistentVolumeClaim": {}}]},
            "Volume 1, Claim (PVC): The value is missing. Write the name of a claim (PVC).",
        ),
        (
            {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]},
            "Volume 2: 'a' is also the name of “Volume 1”. Rename one of them.",
        ),
        ({"activeDeadlineSeconds": "soon"}, "Deadline (seconds): The value "),
        ({"hostNetwork": "x"}, "spec.hostNetwork: The value "),
    ],
)
def test_problem_has_the_label_of_its_field(spec: dict[str, Any], says: str) -> None:
    """U29: the header names the field by its label, also on a page that was not shown yet; the path is a tooltip."""
    user = form(spec)
    assert user.state.startswith(f"● 1 problem: {says}")
    (state,) = (each for each in user.visible() if "pt-state" in each._dom_classes)
    assert "spec." in state.tooltip
    user.click(user.state)
    assert says.split(": ", maxsplit=1)[0] in user.html("pt-said")


@pytest.mark.parametrize(
    ("page", "label", "tooltip"),
    [
        ("Resources", "Memory request", "pod.spec.containers.resources.requests.memory"),
        ("Volumes", "Claim (PVC)", "pod.spec.volumes.persistentVolumeClaim.claimName"),
        ("Volumes", "Mount 1, access", "pod.spec.containers.volumeMounts.readOnly"),
        ("Scheduling", "Deadline (seconds)", "pod.spec.activeDeadlineSeconds"),
        ("Security", "Group of volumes (GID)", "pod.spec.securityContext.fsGroup"),
        ("Sidecars", "Arguments", "pod.spec.containers.args"),
    ],
)
def test_tooltip_is_the_field_of_kubernetes(page: str, label: str, tooltip: str) -> None:
    """U34: the tooltip of an input is the name of its field, as kubectl explain takes it."""
    user = User(TemplateBuilder(PodTemplate().with_(pvc("data", "/data"), sidecar("redis", "redis:7"))))
    user.open(page)
    assert user.input(label).tooltip == tooltip


def test_every_input_of_a_field_has_a_tooltip() -> None:
    """U34: apart from keys and values of mappings, only what is not a field of the pod has no tooltip."""
    user = form({})
    missing = set()
    for title in ("Basics", "Resources", "Scheduling", "Security"):
        user.open(title)
        inputs = (each for each in user.visible() if hasattr(each, "placeholder") or hasattr(each, "options"))
        missing |= {each.description for each in inputs if not each.tooltip}
    missing.discard("")  # texts
    assert missing == {"Template name", "Cell runs in", "Container name", "Size of /dev/shm"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("spec:\n  containers: [a\n", "Line 2: the bracket that opens here has no closing ]."),
        ("spec:\n\tcontainers: []\n", "Line 2: indented with a tab: use spaces."),
        ("- a list", "The YAML text must be a mapping, got list."),
    ],
)
def test_mistake_in_yaml(user: User, text: str, says: str) -> None:
    """U30: the YAML page says in which line a mistake is, and what is wrong there."""
    user.open("YAML")
    user.write("Template (YAML)", text)
    assert user.notes()[0].startswith(says)
    assert user.state.startswith(f"● 1 problem: Template (YAML): {says}")


@pytest.mark.parametrize(
    ("image", "hint"),
    [
        ("python 3.11", "Write it as in docker pull"),
        ("https://ghcr.io/team/image:1", "Did you mean ghcr.io/team/image:1?"),
        (" python:3.11-slim", "Did you mean python:3.11-slim?"),
        ("ghcr.io/Team/Image:V1", "Did you mean ghcr.io/team/image:V1?"),
        ("python:", "Write it as in docker pull"),
        ("python:a b", "Write it as in docker pull"),
    ],
)
def test_image_name_is_checked(user: User, image: str, hint: str) -> None:
    """U31: a name that no image can have is reported, with the likely one."""
    user.open("Basics")
    user.write("Image", image)
    assert user.state.startswith("● 1 problem: Image: ")
    assert hint in user.notes()[0]


@pytest.mark.parametrize(
    "image",
    [
        "python",
        "python:3.11-slim",
        "localhost:5000/a/b_c/d__e:1",
        "Registry.Example.org/team/image",
        "gcr.io/google-containers/pause@sha256:" + "0a" * 32,
        "[::1]:5000/image:V1.0",
        "a/b:1@sha256:" + "f" * 64,
    ],
)
def test_image_names_that_are_right(user: User, image: str) -> None:
    """U31: all that a container runtime takes is valid."""
    user.open("Basics")
    user.write("Image", image)
    assert user.state == "✓ valid"


@pytest.mark.parametrize(
    ("name", "says"),
    [("MY VAR", "contains a blank"), ("A=1", "is not a valid name"), ("Ä", "is not a valid name")],
)
def test_variable_name_is_checked(user: User, name: str, says: str) -> None:
    """U31: a name that a variable cannot have is reported at its row."""
    user.open("Environment")
    user.click("Add variable")
    user.write("Variable 1, name", name)
    assert user.state.startswith("● 1 problem: Variable 1, name: ")
    assert says in user.notes()[0]


@pytest.mark.parametrize(
    ("page", "add", "label"),
    [("Volumes", "Add volume", "Claim (PVC)"), ("Security", "Add pull secret", "Pull secret 1")],
)
def test_name_that_the_cluster_does_not_have(
    monkeypatch: pytest.MonkeyPatch, page: str, add: str, label: str
) -> None:
    """U31: an object that is known not to exist is a warning; the template stays valid."""
    monkeypatch.setattr(
        "podtask_widgets.page.suggest_names",
        lambda kind, combobox, show_error, is_current: setattr(combobox, "options", ("known", "other")),
    )

    def warnings(user: User) -> list[str]:
        return [each.value for each in user.visible() if "pt-warn" in each._dom_classes]

    user = User(TemplateBuilder())
    user.open(page)
    user.click(add)
    user.write(label, "unknown")
    (warning,) = warnings(user)
    assert "&#x27;unknown&#x27; was found in the cluster" in warning
    assert user.state == "✓ valid"
    user.write(label, "known")
    assert warnings(user) == []
    user.builder.template = user.builder.template.replace(namespace="team-b")
    user.write(label, "unknown")
    assert warnings(user) == []  # the names are those of another namespace


def test_final_pod_is_beside_the_yaml(user: User) -> None:
    """U30: beside the YAML page is the pod that a cell gets; beside the others, the template."""
    user.builder.template = PodTemplate({"containers": [{"name": "primary", "image": "team/image:1"}]})
    user.open("YAML")
    shown = user.html("pt-code")
    assert "Pod that a cell gets" in shown
    assert "generateName" in shown
    assert "characters)" in shown  # the program that starts the cell
    user.write("Template (YAML)", "spec: {containers: [{name: primary, image: team/image:2}]}")
    assert "team/image:2" in user.html("pt-code")
    user.open("Basics")
    assert "generateName" not in user.html("pt-code")
    assert "team/image:2" in user.html("pt-code")

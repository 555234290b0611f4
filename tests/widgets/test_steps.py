"""Undo, the Open menu, and the form's template in use by the cells of the session."""

from __future__ import annotations

from collections.abc import Iterator

import podtask
import pytest
from podtask import PodTemplate
from podtask.api import resolve
from podtask.template import store
from podtask_widgets import TemplateBuilder

from tests.widgets.user import User

GPU_IMAGE = "pytorch/pytorch:latest"


@pytest.fixture
def no_session_template() -> Iterator[None]:
    """Remove the default template of the session at the end."""
    yield
    resolve.set_session_template(None)


def image(user: User) -> str | None:
    containers = user.builder.template.pod_spec.get("containers", [{}])
    return str(containers[0].get("image", ""))


def test_undo_goes_back_by_the_change(user: User) -> None:
    """U32: what was typed into one input is one step; each other change is one, too."""
    assert user.input("Template name")
    (undo,) = (each for each in user.visible() if getattr(each, "description", "") == "Undo")
    assert undo.disabled
    user.open("Basics")
    for text in ("p", "py", "python"):
        user.write("Image", text)
    user.open("Resources")
    user.write("CPU limit", "2")
    user.click("Add an NVIDIA GPU with toleration and shared memory")
    assert "tolerations" in user.builder.template.pod_spec
    user.click("Undo")
    assert "tolerations" not in user.builder.template.pod_spec
    assert user.input("CPU limit").value == "2"
    user.click("Undo")
    assert user.input("CPU limit").value == ""
    assert image(user) == "python"
    user.click("Undo")
    assert user.builder.template == PodTemplate()
    assert undo.disabled


def test_undo_of_a_template_that_code_has_set(user: User) -> None:
    """U32: a template that replaces all, from code or from the YAML page, is one step."""
    user.builder.template = PodTemplate({"containers": [{"name": "primary", "image": "code:1"}]})
    user.open("YAML")
    user.write("Template (YAML)", "spec: {containers: [{name: primary, image: 'yaml:1'}]}")
    assert image(user) == "yaml:1"
    user.click("Undo")
    assert image(user) == "code:1"
    assert "code:1" in user.input("Template (YAML)").value
    user.click("Undo")
    assert user.builder.template == PodTemplate()


def test_shortcut_can_be_removed_after_undo(user: User) -> None:
    """U32, U36: a shortcut whose removal was undone still removes all that it added."""
    add, remove = (
        "Add an NVIDIA GPU with toleration and shared memory",
        "Remove the NVIDIA GPU with its toleration and shared memory",
    )
    user.open("Resources")
    user.click(add)
    user.write("Size of /dev/shm", "1Gi")
    user.click(remove)
    user.click("Undo")
    assert user.input("Size of /dev/shm").value == "1Gi"
    user.click(remove)
    assert user.builder.template == PodTemplate()


@pytest.mark.parametrize(
    ("entry", "expected"), [("GPU training", "nvidia.com/gpu"), ("with Redis", "redis:7")]
)
def test_example_to_start_from(user: User, entry: str, expected: str) -> None:
    """U32: the Open menu has examples, which are valid; Undo brings back what was there."""
    user.open("Basics")
    user.write("Image", "mine:1")
    user.click("Open")
    user.click(entry)
    assert expected in user.builder.template.to_yaml()
    assert user.state == "✓ valid"
    assert user.builder.name == entry.lower().replace(" ", "-")
    assert all(getattr(each, "description", "") != entry for each in user.visible())  # the menu is closed
    user.click("Undo")
    assert image(user) == "mine:1"


def test_start_from_yaml(user: User) -> None:
    """U32: "from YAML" opens the page to paste into."""
    user.click("Open")
    user.click("from YAML")
    assert user.opened == "YAML"


def test_saved_template_is_opened(user: User) -> None:
    """U32: the Open menu has the saved templates; one that cannot be read is a message."""
    user.click("Open")
    user.click("Open")  # closes it
    store.save_template("prod", PodTemplate(labels={"a": "b"}), for_user=True)
    path = store.save_template("broken", PodTemplate(), for_user=True)
    path.write_text("a: [\n")
    user.click("Open")
    user.click("prod")
    assert user.builder.template.labels == {"a": "b"}
    assert user.input("Template name").value == "prod"
    assert "Opened prod" in user.html("pt-said")
    user.click("Open")
    user.click("broken")
    assert "not valid YAML" in user.html("pt-said")
    assert user.builder.template.labels == {"a": "b"}


@pytest.mark.usefixtures("no_session_template")
def test_in_use_is_a_state_of_the_form(user: User) -> None:
    """U33: the form shows that it is in use, until it is not, whoever has changed that."""

    def is_shown(form: User) -> bool:
        (mark,) = (each for each in form.visible() if "pt-used" in each._dom_classes)
        return "pt-hidden" not in mark._dom_classes

    other = User(TemplateBuilder())
    user.click("Use")
    assert (is_shown(user), is_shown(other)) == (True, False)
    other.click("Use")
    assert (is_shown(user), is_shown(other)) == (False, True)
    other.click("Stop using")
    assert (is_shown(user), is_shown(other)) == (False, False)
    assert resolve.session_template() is None
    user.click("Use")
    assert is_shown(User(user.builder))
    resolve.set_session_template(None)  # as %podtask use none does
    assert not is_shown(user)


@pytest.mark.usefixtures("no_session_template")
def test_cell_names_the_template_in_use(user: User) -> None:
    """U33: the details of each cell that runs with the template name it; those of other cells do not."""
    user.builder.name = "prod"
    user.click("Use")
    for _ in range(2):
        task = podtask.submit("1")
        task.result(30)
        assert "Template of this session: prod (form)" in task.notices
    other = podtask.submit("1", template=PodTemplate())
    other.result(30)
    assert not any("of this session" in each for each in other.notices)

"""The Basics page: name, image and ports of the primary container."""

from __future__ import annotations

import platform
from typing import Any

from podtask.template.pod_document import PRIMARY

from ..converters import TEXT
from ..draft import Draft
from ..field_refs import field_ref
from ..inputs import Options
from ..list_editors import ListEditor
from ..page import Page
from ..validation import PRIMARY_NAME
from .container_fields import PORT_COLUMNS, port_widgets

PYTHON_VERSION = ".".join(platform.python_version_tuple()[:2])
IMAGES = (
    f"python:{PYTHON_VERSION}-slim",
    f"python:{PYTHON_VERSION}",
    "quay.io/jupyter/scipy-notebook:latest",
    "pytorch/pytorch:latest",
)
PULL_POLICIES = (
    ("not set", None),
    ("IfNotPresent", "IfNotPresent"),
    ("Always", "Always"),
    ("Never", "Never"),
)


class PrimaryName:
    """A reference to the name of the primary container."""

    path = PRIMARY_NAME

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def get(self) -> str:
        """Return the name."""
        return self._draft.primary

    def set(self, value: Any) -> None:
        """Rename the container."""
        self._draft.rename_primary(value or "")


class CellContainer:
    """A reference to the choice of the container that runs the cell."""

    path = "cell_container"  # no problem has this path: problems are about the container itself

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def get(self) -> str:
        """Return the name of the container."""
        return self._draft.primary

    def set(self, value: Any) -> None:
        """Run the cell in another container."""
        self._draft.primary = value


def container_choices(draft: Draft) -> Options:
    """Return the containers that can run the cell: those of the pod, and one that is added."""
    names = [each.get("name") for each in draft.field("containers").get() or [] if isinstance(each, dict)]
    added = [name for name in dict.fromkeys((draft.primary, PRIMARY)) if name not in names]
    return [
        *((name, name) for name in dict.fromkeys(names) if name),
        *((f"{name} (an added container)", name) for name in added),
    ]


def build(page: Page) -> list[Any]:
    """Return the page's widgets."""
    container = page.draft.container
    choice = page.dropdown(
        CellContainer(page.draft),
        "Cell runs in",
        container_choices(page.draft),
        lambda: page.rebuild("cell container"),
    )
    page.focus_targets["cell container"] = choice.widget

    def renamed() -> None:
        choice.set_options(container_choices(page.draft))

    image = page.text_input(
        field_ref(container, "image"), "Image", TEXT, placeholder=IMAGES[0], suggestions=IMAGES
    )
    name = page.text_input(PrimaryName(page.draft), "Container name", on_change=renamed)
    pull_policy = page.dropdown(field_ref(container, "imagePullPolicy"), "Pull policy", PULL_POLICIES)
    working_directory = page.text_input(
        field_ref(container, "workingDir"), "Working directory", placeholder="from image"
    )
    return [
        page.heading("Primary container", "runs the cell"),
        page.grid(
            page.field(choice),
            page.field(name),
            page.field(
                image, "Any image with Python 3.9 or later. podtask does not have to be installed.", wide=True
            ),
            page.field(pull_policy),
            page.field(working_directory),
        ),
        page.heading("Ports", "ports that the cell serves"),
        ListEditor(page, field_ref(container, "ports"), "port", port_widgets(page), PORT_COLUMNS).box,
    ]

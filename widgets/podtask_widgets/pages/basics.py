"""The page of the primary container: its name, image and ports."""

from __future__ import annotations

import platform
from typing import Any

from ..converters import TEXT
from ..draft import Draft
from ..field_refs import at
from ..list_editors import Items
from ..page import Page
from ..validation import PRIMARY_NAME
from .container import columns_of_ports, ports

PYTHON = ".".join(platform.python_version_tuple()[:2])
IMAGES = (
    f"python:{PYTHON}-slim",
    f"python:{PYTHON}",
    "quay.io/jupyter/scipy-notebook:latest",
    "pytorch/pytorch:latest",
)
PULL = (
    ("not set", None),
    ("IfNotPresent", "IfNotPresent"),
    ("Always", "Always"),
    ("Never", "Never"),
)


class Name:
    """The place of the primary container's name."""

    path = PRIMARY_NAME

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def get(self) -> str:
        """Returns it."""
        return self._draft.primary

    def set(self, value: Any) -> None:
        """Renames the container."""
        self._draft.rename(value or "")


def build(page: Page) -> list[Any]:
    """Returns the page's widgets."""
    container = page.draft.container
    image = page.text(at(container, "image"), "Image", TEXT, hint=IMAGES[0], offers=IMAGES)
    return [
        page.head("Primary container", "the cell runs here"),
        page.grid(
            page.field(image, "Any image with Python 3.9 or newer; podtask need not be in it", wide=True),
            page.field(page.text(Name(page.draft), "Container name")),
            page.field(page.choice(at(container, "imagePullPolicy"), "Pull policy", PULL)),
            page.field(page.text(at(container, "workingDir"), "Working directory", hint="the image's")),
        ),
        page.head("Ports", "what the cell itself serves"),
        Items(page, at(container, "ports"), "port", ports(page), columns_of_ports).box,
    ]

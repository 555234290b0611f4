"""The Sidecars page: sidecars and init containers."""

from __future__ import annotations

from typing import Any

from ..converters import SHELL_WORDS, TEXT, Converter
from ..draft import Draft
from ..field_refs import FieldRef, field_ref
from ..list_editors import Entry, ListEditor
from ..page import Page
from .container_fields import (
    ENV_COLUMNS,
    MOUNT_COLUMNS,
    PORT_COLUMNS,
    env_widgets,
    mount_widgets,
    port_widgets,
)

INIT_KINDS = (("runs to completion", None), ("native sidecar", "Always"))


def count(draft: Draft) -> int:
    """Return the number of containers, without the primary one."""
    sidecars = len(draft.field("containers").get() or []) - (draft.container.get() is not None)
    return sidecars + len(draft.field("initContainers").get() or [])


def build(page: Page) -> list[Any]:
    """Return the page's widgets."""
    draft = page.draft

    def is_sidecar(item: dict[str, Any]) -> bool:
        return item is not draft.container.get()

    def new_container(prefix: str) -> dict[str, Any]:
        fields = ("containers", "initContainers")
        names = {each.get("name") for field in fields for each in draft.field(field).get() or []}
        candidates = (f"{prefix}-{n}" for n in range(1, 999))
        return {"name": next(each for each in candidates if each not in names)}

    def new_sidecar() -> dict[str, Any]:
        draft.add_primary_container()  # otherwise, the primary container would be added after the sidecar
        return new_container("sidecar")

    return [
        page.heading("Sidecars", "run next to the cell and stop with it"),
        ListEditor(
            page,
            draft.field("containers"),
            "sidecar",
            lambda entry: _container_card(page, entry),
            new_item=new_sidecar,
            includes=is_sidecar,
        ).box,
        page.heading("Init containers", "run before the cell; native sidecars keep running"),
        ListEditor(
            page,
            draft.field("initContainers"),
            "init container",
            lambda entry: _container_card(page, entry),
            new_item=lambda: new_container("init"),
        ).box,
    ]


class ContainerName:
    """A reference to the name of a container; what refers to the container follows."""

    def __init__(self, draft: Draft, container: FieldRef) -> None:
        self._draft, self._container = draft, container

    @property
    def path(self) -> str:
        """Path of the name."""
        return f"{self._container.path}.name"

    def get(self) -> Any:
        """Return the name."""
        return self._container.get().get("name")

    def set(self, value: Any) -> None:
        """Rename the container."""
        self._draft.rename_container(self._container.get(), value)


def _container_card(page: Page, entry: Entry) -> list[Any]:
    ref, save = entry.ref, entry.save
    is_init = ref.path.startswith("spec.initContainers")
    noun = "Init container" if is_init else "Sidecar"

    def text(name: str, label: str, placeholder: str = "", converter: Converter = TEXT) -> Any:
        return page.field(
            page.text_input(field_ref(ref, name), label, converter, placeholder=placeholder, on_change=save)
        )

    def quantity(section: str, name: str, label: str, placeholder: str) -> Any:
        quantity_ref = field_ref(ref, "resources", section, name)
        return page.field(page.text_input(quantity_ref, label, placeholder=placeholder, on_change=save))

    name = page.text_input(ContainerName(page.draft, ref), f"{noun} {entry.number}", on_change=save)
    header = page.box(
        [
            page.field(name),
            text("image", "Image", "redis:7"),
            page.remove_button(f"Remove {noun.lower()} {entry.number}", entry.remove),
        ],
        "pt-top",
    )
    kind = (
        [page.field(page.dropdown(field_ref(ref, "restartPolicy"), "Kind", INIT_KINDS, save))]
        if is_init
        else []
    )
    fields = page.grid(
        text("command", "Command", "from image", SHELL_WORDS),
        text("args", "Arguments", "none", SHELL_WORDS),
        quantity("requests", "cpu", "CPU request", "100m"),
        quantity("limits", "cpu", "CPU limit", "500m"),
        quantity("requests", "memory", "Memory request", "256Mi"),
        quantity("limits", "memory", "Memory limit", "512Mi"),
        *kind,
    )
    editors = [
        ListEditor(page, field_ref(ref, name), noun, make_widgets, columns).box
        for name, noun, make_widgets, columns in (
            ("ports", "port", port_widgets(page), PORT_COLUMNS),
            ("env", "variable", env_widgets(page), ENV_COLUMNS),
            ("volumeMounts", "mount", mount_widgets(page), MOUNT_COLUMNS),
        )
    ]
    return [header, fields, page.box(editors, "pt-lists")]

"""The page of what runs beside the cell, and before it."""

from __future__ import annotations

from typing import Any

from ..converters import WORDS
from ..draft import Draft
from ..field_refs import at
from ..list_editors import Entry, Items
from ..page import Page
from . import container as parts

ROLES = (("runs to its end", None), ("native sidecar", "Always"))


def count(draft: Draft) -> int:
    """Returns how many containers there are beside the primary one."""
    listed = len(draft.field("containers").get() or []) - (draft.container.get() is not None)
    return listed + len(draft.field("initContainers").get() or [])


def build(page: Page) -> list[Any]:
    """Returns the page's widgets."""
    draft = page.draft

    def others(item: dict[str, Any]) -> bool:
        return item is not draft.container.get()

    def new(role: str) -> dict[str, Any]:
        listed = [each for kind in ("containers", "initContainers") for each in draft.field(kind).get() or []]
        names = {each.get("name") for each in listed}
        name = next(f"{role}-{n}" for n in range(1, 999) if f"{role}-{n}" not in names)
        return {"name": name}

    def new_sidecar() -> dict[str, Any]:
        draft.bring_primary()  # a sidecar alone would have the cell's container appended
        return new("sidecar")

    return [
        page.head("Sidecars", "run beside the cell, and are ended with it"),
        Items(
            page,
            draft.field("containers"),
            "sidecar",
            lambda entry: _card(page, entry),
            new=new_sidecar,
            only=others,
        ).box,
        page.head("Init containers", "run before the cell; native sidecars stay up beside it"),
        Items(
            page,
            draft.field("initContainers"),
            "init container",
            lambda entry: _card(page, entry),
            new=lambda: new("init"),
        ).box,
    ]


def _card(page: Page, entry: Entry) -> list[Any]:
    place, after = entry.place, entry.write
    is_init = place.path.startswith("spec.initContainers")
    noun = "Init container" if is_init else "Sidecar"

    def text(name: str, label: str, hint: str = "", codec: Any = None) -> Any:
        more = {"codec": codec} if codec else {}
        return page.field(page.text(at(place, name), label, hint=hint, after=after, **more))

    def bound(part: str, name: str, label: str, hint: str) -> Any:
        return page.field(page.text(at(place, "resources", part, name), label, hint=hint, after=after))

    top = page.box(
        [
            text("name", f"{noun} {entry.number}"),
            text("image", "Image", "redis:7"),
            page.cross(f"Remove {noun.lower()} {entry.number}", entry.remove),
        ],
        "pt-top",
    )
    role = [page.field(page.choice(at(place, "restartPolicy"), "Kind", ROLES, after))] if is_init else []
    grid = page.grid(
        text("command", "Command", "the image's", WORDS),
        text("args", "Arguments", "none", WORDS),
        bound("requests", "cpu", "CPU request", "100m"),
        bound("limits", "cpu", "CPU limit", "500m"),
        bound("requests", "memory", "Memory request", "256Mi"),
        bound("limits", "memory", "Memory limit", "512Mi"),
        *role,
    )
    lists = [
        ("ports", "port", parts.ports(page), parts.columns_of_ports),
        ("env", "variable", parts.env(page), parts.columns_of_env),
        ("volumeMounts", "mount", parts.mounts(page), parts.columns_of_mounts),
    ]
    boxes = [Items(page, at(place, name), noun, make, columns).box for name, noun, make, columns in lists]
    return [top, grid, page.box(boxes, "pt-lists")]

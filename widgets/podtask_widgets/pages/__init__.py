"""The pages of the form, in their order. The widgets of a page are created when it is first shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..draft import Draft
from ..page import Page
from . import (
    basics,
    environment,
    metadata,
    resources,
    scheduling,
    security,
    sidecars,
    volumes,
    yaml,
)


@dataclass(frozen=True)
class PageSpec:
    """The description of one page.

    Args:
        title: Title of the tab.
        build: Returns the page's widgets.
        count: Returns the number that the tab shows; None for no number.
        paths: Prefixes of the field paths that the page edits; ``@`` stands for the path of the
            primary container.
    """

    title: str
    build: Callable[[Page], list[Any]]
    count: Callable[[Draft], int] | None
    paths: tuple[str, ...]


YAML_PAGE = PageSpec("YAML", yaml.build, None, ("",))
PAGES = (
    PageSpec(
        "Basics",
        basics.build,
        None,
        ("primary_container_name", "@.name", "@.image", "@.workingDir", "@.ports", "@.command", "@.args"),
    ),
    PageSpec("Resources", resources.build, resources.count, ("@.resources",)),
    PageSpec("Environment", environment.build, environment.count, ("@.env", "@.envFrom")),
    PageSpec("Volumes", volumes.build, volumes.count, ("spec.volumes", "@.volumeMounts")),
    PageSpec("Sidecars", sidecars.build, sidecars.count, ("spec.containers", "spec.initContainers")),
    PageSpec("Scheduling", scheduling.build, scheduling.count, scheduling.PAGE_PATHS),
    PageSpec("Security", security.build, security.count, security.PAGE_PATHS),
    PageSpec("Metadata", metadata.build, metadata.count, ("metadata",)),
    YAML_PAGE,
)


def find_page(path: str, primary_path: str) -> int:
    """Return the index of the page for a problem's path: the one with the longest matching prefix.

    Args:
        path: Path of the problem's field.
        primary_path: Path of the primary container.
    """

    def match_length(page: PageSpec) -> int:
        prefixes = [prefix.replace("@", primary_path) for prefix in page.paths]
        return max((len(prefix) for prefix in prefixes if path.startswith(prefix)), default=-1)

    return max(range(len(PAGES)), key=lambda index: match_length(PAGES[index]))

"""The pages of the form, in their order: each built when it is first shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..draft import Draft
from ..page import Page
from . import (
    basics,
    containers,
    environment,
    metadata,
    resources,
    scheduling,
    security,
    volumes,
    yaml,
)


@dataclass(frozen=True)
class Part:
    """One page.

    Args:
        title: of its tab.
        build: returns its widgets.
        count: of what is on it, for its tab; None for none.
        claims: beginnings of the paths that are on it; ``@`` stands for the primary container's.
    """

    title: str
    build: Callable[[Page], list[Any]]
    count: Callable[[Draft], int] | None
    claims: tuple[str, ...]


PARTS = (
    Part(
        "Basics",
        basics.build,
        None,
        ("primary_container_name", "@.name", "@.image", "@.workingDir", "@.ports", "@.command", "@.args"),
    ),
    Part("Resources", resources.build, resources.count, ("@.resources",)),
    Part("Environment", environment.build, environment.count, ("@.env", "@.envFrom")),
    Part("Volumes", volumes.build, volumes.count, ("spec.volumes", "@.volumeMounts")),
    Part("Sidecars", containers.build, containers.count, ("spec.containers", "spec.initContainers")),
    Part("Scheduling", scheduling.build, scheduling.count, scheduling.CLAIMS),
    Part("Security", security.build, security.count, security.CLAIMS),
    Part("Metadata", metadata.build, metadata.count, ("metadata",)),
    Part("YAML", yaml.build, None, ("",)),
)


def page_of(path: str, primary: str) -> int:
    """Returns the number of the page that a problem is on: that with the longest claim.

    Args:
        path: of the problem.
        primary: path of the primary container.
    """

    def claimed(part: Part) -> int:
        claims = [claim.replace("@", primary) for claim in part.claims]
        return max((len(claim) for claim in claims if path.startswith(claim)), default=-1)

    return max(range(len(PARTS)), key=lambda number: claimed(PARTS[number]))

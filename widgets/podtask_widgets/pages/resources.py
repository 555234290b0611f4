"""The page of what the primary container asks for and may use."""

from __future__ import annotations

from typing import Any

from podtask.presets import gpu

from ..draft import Draft
from ..field_refs import at, entries, filled
from ..list_editors import Pairs
from ..page import Page
from ..shared_memory import SharedMemory

ACCELERATORS = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915", "google.com/tpu")


def count(draft: Draft) -> int:
    """Returns how many requests, limits and sizes are set."""
    resources = at(draft.container, "resources")
    return entries(at(resources, "requests"), at(resources, "limits")) + filled(SharedMemory(draft))


def build(page: Page) -> list[Any]:
    """Returns the page's widgets."""
    resources = at(page.draft.container, "resources")

    def bound(part: str, name: str, label: str, hint: str, below: str = "") -> Any:
        return page.field(page.text(at(resources, part, name), label, hint=hint), below)

    def add_gpu() -> None:
        page.replace(page.draft.template().with_(gpu(1)))

    return [
        page.head("CPU and memory", "a request is reserved, a limit is not exceeded"),
        page.grid(
            bound("requests", "cpu", "CPU request", "500m", "cores, or thousandths: 500m"),
            bound("limits", "cpu", "CPU limit", "2"),
            bound("requests", "memory", "Memory request", "4Gi", "Mi, Gi"),
            bound("limits", "memory", "Memory limit", "8Gi", "beyond it the cell is killed"),
            bound("requests", "ephemeral-storage", "Disk request", "10Gi"),
            bound("limits", "ephemeral-storage", "Disk limit", "20Gi"),
        ),
        page.head("Accelerators", "limits of other resources, by name"),
        Pairs(
            page,
            at(resources, "limits"),
            "resource",
            ("nvidia.com/gpu", "1"),
            only=lambda name: "/" in name,
            offers=ACCELERATORS,
        ).box,
        page.button("Add an NVIDIA GPU, with its toleration and shared memory", add_gpu),
        page.head("Shared memory"),
        page.grid(
            page.field(
                page.text(SharedMemory(page.draft), "Size of /dev/shm", hint="64Mi"),
                "Data loaders of frameworks need more than the default 64Mi",
            )
        ),
    ]

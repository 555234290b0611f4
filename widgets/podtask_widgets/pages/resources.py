"""The Resources page: requests and limits of the primary container, and shared memory."""

from __future__ import annotations

from typing import Any

from ..draft import Draft
from ..field_refs import count_entries, count_set, field_ref
from ..list_editors import MappingEditor
from ..page import Page
from ..shared_memory import SharedMemory
from ..shortcuts import GPU, GPU_RESOURCE

ACCELERATORS = (GPU_RESOURCE, "amd.com/gpu", "gpu.intel.com/i915", "google.com/tpu")


def count(draft: Draft) -> int:
    """Return the number of requests, limits and sizes that are set."""
    requests = field_ref(draft.container, "resources", "requests")
    limits = field_ref(draft.container, "resources", "limits")
    return count_entries(requests, limits) + count_set(SharedMemory(draft))


def build(page: Page) -> list[Any]:
    """Return the page's widgets."""
    resources = field_ref(page.draft.container, "resources")

    def quantity(section: str, name: str, label: str, placeholder: str, help_text: str = "") -> Any:
        ref = field_ref(resources, section, name)
        return page.field(page.text_input(ref, label, placeholder=placeholder), help_text)

    def resource_removed(name: str) -> None:
        if name == GPU_RESOURCE and GPU.name in page.draft.additions:
            GPU.remove(page.draft)
            page.rebuild(GPU.name)

    return [
        page.heading("CPU and memory", "requests are reserved, limits are the maximum"),
        page.grid(
            quantity("requests", "cpu", "CPU request", "500m", "Cores, or millicores: 500m"),
            quantity("limits", "cpu", "CPU limit", "2"),
            quantity("requests", "memory", "Memory request", "4Gi", "Mi, Gi"),
            quantity("limits", "memory", "Memory limit", "8Gi", "The cell is killed above this limit"),
            quantity("requests", "ephemeral-storage", "Disk request", "10Gi"),
            quantity("limits", "ephemeral-storage", "Disk limit", "20Gi"),
        ),
        page.heading("Accelerators", "limits of other resources, by name"),
        MappingEditor(
            page,
            field_ref(resources, "limits"),
            "resource",
            ("nvidia.com/gpu", "1"),
            includes=lambda name: "/" in name,
            suggestions=ACCELERATORS,
            on_remove=resource_removed,
        ).box,
        page.shortcut(GPU),
        page.heading("Shared memory"),
        page.grid(
            page.field(
                page.text_input(SharedMemory(page.draft), "Size of /dev/shm", placeholder="64Mi"),
                "Data loaders often need more than the default of 64Mi",
            )
        ),
    ]

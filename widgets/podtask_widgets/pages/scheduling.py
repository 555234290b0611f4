"""The Scheduling page: the nodes that a pod may run on, its priority, and its time limits."""

from __future__ import annotations

from typing import Any

from podtask.diagnosis.queueing import QUEUE_LABEL

from ..converters import INTEGER, YAML
from ..draft import Draft
from ..field_refs import count_entries, count_set, field_ref
from ..list_editors import Entry, ListEditor, MappingEditor
from ..page import Page

LIST_FIELDS = ("nodeSelector", "tolerations")
SINGLE_FIELDS = (
    "affinity",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "activeDeadlineSeconds",
    "terminationGracePeriodSeconds",
)
PAGE_PATHS = (*(f"spec.{name}" for name in (*LIST_FIELDS, *SINGLE_FIELDS)), f"metadata.labels.{QUEUE_LABEL}")
TOLERATION_OPERATORS = (("exists", "Exists"), ("equals", "Equal"), ("not set", None))
TAINT_EFFECTS = (
    ("all effects", None),
    ("NoSchedule", "NoSchedule"),
    ("NoExecute", "NoExecute"),
    ("PreferNoSchedule", "PreferNoSchedule"),
)
TOLERATION_COLUMNS = "minmax(0,1.2fr) minmax(0,.8fr) minmax(0,.7fr) minmax(0,1.15fr)"


def count(draft: Draft) -> int:
    """Return the number of selectors and tolerations, and of the other fields that are set."""
    single_fields = [draft.field(name) for name in SINGLE_FIELDS]
    queue = field_ref(draft.metadata, "labels", QUEUE_LABEL)
    return count_entries(*(draft.field(name) for name in LIST_FIELDS)) + count_set(*single_fields, queue)


def build(page: Page) -> list[Any]:
    """Return the page's widgets."""
    draft = page.draft
    affinity = page.text_input(
        draft.field("affinity"),
        "Affinity (YAML)",
        YAML,
        rows=5,
        placeholder="nodeAffinity:\n  requiredDuringSchedulingIgnoredDuringExecution: ...",
    )
    priority_class = page.text_input(
        draft.field("priorityClassName"), "Priority class", kind="priority class"
    )
    queue = page.text_input(field_ref(draft.metadata, "labels", QUEUE_LABEL), "Queue", kind="queue")
    runtime_class = page.text_input(draft.field("runtimeClassName"), "Runtime class", kind="runtime class")
    scheduler = page.text_input(draft.field("schedulerName"), "Scheduler", placeholder="default-scheduler")
    deadline = page.text_input(
        draft.field("activeDeadlineSeconds"),
        "Deadline (seconds)",
        INTEGER,
        placeholder="from the run options",
    )
    grace_period = page.text_input(
        draft.field("terminationGracePeriodSeconds"),
        "Termination grace period (seconds)",
        INTEGER,
        placeholder="5",
    )
    return [
        page.heading("Node selector", "labels that the node must have"),
        MappingEditor(page, draft.field("nodeSelector"), "selector").box,
        page.heading("Tolerations", "to run on tainted nodes"),
        ListEditor(
            page,
            draft.field("tolerations"),
            "toleration",
            lambda entry: _toleration_widgets(page, entry),
            TOLERATION_COLUMNS,
            new_item=lambda: {"operator": "Exists"},
        ).box,
        page.heading("Priority and scheduler"),
        page.grid(
            page.field(priority_class),
            page.field(queue, "Local queue of Kueue, set as a label"),
            page.field(runtime_class),
            page.field(scheduler),
        ),
        page.heading("Time limits"),
        page.grid(page.field(deadline), page.field(grace_period)),
        page.heading("Affinity", "to nodes and to other pods"),
        page.field(affinity, wide=True),
    ]


def _toleration_widgets(page: Page, entry: Entry) -> list[Any]:
    label, ref, save = f"Toleration {entry.number}", entry.ref, entry.save
    return [
        page.text_input(
            field_ref(ref, "key"), f"{label}, key", placeholder="all keys", on_change=save
        ).widget,
        page.dropdown(field_ref(ref, "operator"), f"{label}, operator", TOLERATION_OPERATORS, save).widget,
        page.text_input(
            field_ref(ref, "value"), f"{label}, value", placeholder="value", on_change=save
        ).widget,
        page.dropdown(field_ref(ref, "effect"), f"{label}, effect", TAINT_EFFECTS, save).widget,
    ]

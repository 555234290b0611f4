"""The page of where and when a pod runs."""

from __future__ import annotations

from typing import Any

from podtask.config.options import QUEUE_LABEL

from ..converters import WHOLE, YAML
from ..draft import Draft
from ..field_refs import at, entries, filled
from ..list_editors import Entry, Items, Pairs
from ..page import Page

LISTS = ("nodeSelector", "tolerations")
SINGLE = (
    "affinity",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "activeDeadlineSeconds",
    "terminationGracePeriodSeconds",
)
CLAIMS = (*(f"spec.{name}" for name in (*LISTS, *SINGLE)), f"metadata.labels.{QUEUE_LABEL}")
OPERATORS = (("exists", "Exists"), ("equals", "Equal"), ("not set", None))
EFFECTS = (
    ("every effect", None),
    ("NoSchedule", "NoSchedule"),
    ("NoExecute", "NoExecute"),
    ("PreferNoSchedule", "PreferNoSchedule"),
)


def count(draft: Draft) -> int:
    """Returns how many selectors and tolerations there are, and other fields set."""
    single = [draft.field(name) for name in SINGLE]
    queue = at(draft.metadata, "labels", QUEUE_LABEL)
    return entries(*(draft.field(name) for name in LISTS)) + filled(*single, queue)


def build(page: Page) -> list[Any]:
    """Returns the page's widgets."""
    draft = page.draft
    columns = "minmax(0,1.2fr) minmax(0,.8fr) minmax(0,.7fr) minmax(0,1.15fr)"
    affinity = page.text(
        draft.field("affinity"),
        "Affinity, in YAML",
        YAML,
        lines=5,
        hint="nodeAffinity:\n  requiredDuringSchedulingIgnoredDuringExecution: ...",
    )
    return [
        page.head("Node selector", "labels that the node must have"),
        Pairs(page, draft.field("nodeSelector"), "selector").box,
        page.head("Tolerations", "of taints that keep others away"),
        Items(
            page,
            draft.field("tolerations"),
            "toleration",
            lambda entry: _toleration(page, entry),
            columns,
            new=lambda: {"operator": "Exists"},
        ).box,
        page.head("Rank"),
        page.grid(
            page.field(page.text(draft.field("priorityClassName"), "Priority class", kind="priority class")),
            page.field(
                page.text(at(draft.metadata, "labels", QUEUE_LABEL), "Queue", kind="queue"),
                "Kueue's, by its label",
            ),
            page.field(page.text(draft.field("runtimeClassName"), "Runtime class", kind="runtime class")),
            page.field(page.text(draft.field("schedulerName"), "Scheduler", hint="default-scheduler")),
        ),
        page.head("Bounds"),
        page.grid(
            page.field(
                page.text(
                    draft.field("activeDeadlineSeconds"),
                    "Deadline, in seconds",
                    WHOLE,
                    hint="by the options of the run",
                )
            ),
            page.field(
                page.text(
                    draft.field("terminationGracePeriodSeconds"),
                    "Grace at the end, in seconds",
                    WHOLE,
                    hint="5",
                )
            ),
        ),
        page.head("Affinity", "to nodes and to other pods"),
        page.field(affinity, wide=True),
    ]


def _toleration(page: Page, entry: Entry) -> list[Any]:
    said, place = f"Toleration {entry.number}", entry.place
    return [
        page.text(at(place, "key"), f"{said}, key", hint="every key", after=entry.write).widget,
        page.choice(at(place, "operator"), f"{said}, operator", OPERATORS, entry.write).widget,
        page.text(at(place, "value"), f"{said}, value", hint="value", after=entry.write).widget,
        page.choice(at(place, "effect"), f"{said}, effect", EFFECTS, entry.write).widget,
    ]

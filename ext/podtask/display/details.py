"""The details below a task's status line: phases, events, sidecars and the pod.

They can be expanded without a kernel, also in a saved notebook.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from ..backends.base import Snapshot
from ..frontend import Screen
from ..lifecycle.task import Task
from ..lifecycle.updates import PhaseSpan
from ..manifest.pod_manifest import PodManifest
from ..template.yaml_writer import dump_yaml

REFRESH_SECONDS = 0.5  # between two versions, so that a quick start makes only one
SNAPSHOT_SECONDS = 1.0  # until the first snapshot; the pause doubles each time
MAX_SNAPSHOT_SECONDS = 60.0
MIN_SHOWN_SECONDS = 0.05  # shorter phases get no bar
MAX_EVENTS = 20
HIDDEN_VALUE = "(not shown: it may be a secret)"
# Details that the user has unfolded stay unfolded when a newer version replaces them.
OPEN_STATES_JS = "(window.podtaskOpen=window.podtaskOpen||{})"
BAR_STYLE = "height:.6em;border-radius:2px;background:currentColor;align-self:center;min-width:2px"
INDENT_STYLE = "margin-left:1em"
# A long text wraps at the width of the rows above it.
TEXT_ROW_STYLE = "grid-column:1/-1;width:0;min-width:100%;padding-left:1em;box-sizing:border-box"
TEXT_STYLE = (
    "margin:.2em 0 .4em;padding:.4em .8em;overflow:auto;max-height:22em;white-space:pre-wrap;overflow-wrap:anywhere;word-break:normal;\
background:rgba(128,128,128,.12);color:var(--jp-ui-font-color1,inherit);border-radius:4px;font:inherit"
)


class Details:
    """The details of a task, which are refreshed when they change.

    Args:
        task: The task.
        screen: Where the task is shown.
    """

    def __init__(self, task: Task, screen: Screen) -> None:
        self._task = task
        self._screen = screen
        self._shown_at = 0.0
        self._shown: tuple[float, Snapshot, bool] | None = None
        self._snapshot = Snapshot()
        self._request: concurrent.futures.Future[Snapshot] | None = None
        self._pause, self._next = SNAPSHOT_SECONDS, time.monotonic() + SNAPSHOT_SECONDS

    def show(self) -> None:
        """Show the details if they have changed; called often."""
        if self._task.local:
            return  # a process has one phase, no events and no sidecars
        self._update_snapshot()
        done, now = self._task.done(), time.monotonic()
        state = self._task.phases[-1].start, self._snapshot, done
        if state != self._shown and (done or now - self._shown_at >= REFRESH_SECONDS):
            self._shown, self._shown_at = state, now
            spans = list(merge_phases(self._task.phases))
            pod, name = self._task.manifest, self._task.name
            used = resource_usage(pod, self._task.usage)
            shown = details_html(name, spans, done, self._snapshot, pod_yaml(pod), used)
            self._screen.show_details(f"podtask · {summary_line(spans, done)}", shown)

    def _update_snapshot(self) -> None:
        """Store the snapshot that was requested, and request another one when it is due."""
        if self._request is not None and self._request.done():
            if not self._request.cancelled() and self._request.exception() is None:
                self._snapshot = self._request.result()
            self._request = None
        if self._request is None and not self._task.done() and time.monotonic() >= self._next:
            self._request = self._task.request_snapshot()
            self._pause = min(MAX_SNAPSHOT_SECONDS, 2 * self._pause)
            self._next = time.monotonic() + self._pause


def pod_yaml(pod: dict[str, Any]) -> str:
    """Return a pod as YAML without the values of environment variables: the notebook may be shared.

    Args:
        pod: The pod in wire form; it is changed. May be empty.
    """
    if not pod:
        return ""
    pod["metadata"].pop("managedFields", None)
    pod.pop("status", None)
    for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
        for entry in container.get("env", []):
            if entry.get("value") and not entry["name"].startswith("PODTASK_"):
                entry["value"] = HIDDEN_VALUE
    return dump_yaml(pod)


def resource_usage(pod: dict[str, Any], usage: dict[str, float]) -> list[tuple[str, str, str, str]]:
    """Return (resource, used, requested, limit) for each resource that was measured, as text.

    Args:
        pod: The pod in wire form; may be empty.
        usage: Usage of the task; may be empty, or incomplete if the pod is not trusted.
    """
    if not pod or not {"cpu", "process"} <= usage.keys():
        return []
    given = PodManifest(pod).primary_container.get("resources", {})
    requests, limits = given.get("requests", {}), given.get("limits", {})
    cpu = f"{usage['cpu']:.1f} s"
    if usage["seconds"] >= MIN_SHOWN_SECONDS:
        cpu += f", {usage['cpu'] / usage['seconds']:.1f} on average"
    memory = f"{_size(usage['process'])} at most"
    # A smaller number for the container means nothing: it counts shared pages only once.
    if usage.get("container", 0) > usage["process"]:
        memory += f", {_size(usage['container'])} with its files"
    return [
        (key, used, str(requests.get(key, "–")), str(limits.get(key, "–")))
        for key, used in (("cpu", cpu), ("memory", memory))
    ]


def _size(size: float) -> str:
    return f"{size / 2**20:.0f} MiB" if size < 2**30 else f"{size / 2**30:.1f} GiB"


def merge_phases(spans: Iterable[PhaseSpan]) -> Iterator[PhaseSpan]:
    """Yield the spans with neighbors of the same phase merged; the last text of the phase remains."""
    last: PhaseSpan | None = None
    for span in spans:
        if last is not None and span.phase.name == last.phase.name:
            phase = span.phase if span.phase.text else last.phase
            last = PhaseSpan(phase, last.start, last.seconds + span.seconds)
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last


def summary_line(spans: list[PhaseSpan], done: bool) -> str:
    """Return the phases that took time in one line; the current one without a duration."""
    parts = [
        f"{each.phase.name} {each.seconds:.1f} s" for each in spans[:-1] if each.seconds >= MIN_SHOWN_SECONDS
    ]
    last = spans[-1]
    return " · ".join([*parts, f"{last.phase.name} {last.seconds:.1f} s" if done else f"{last.phase.name} …"])


def details_html(
    name: str,
    spans: list[PhaseSpan],
    done: bool,
    snapshot: Snapshot,
    pod: str,
    used: list[tuple[str, str, str, str]],
) -> str:
    """Return the details as HTML.

    Args:
        name: Name of the task; the page uses it to remember whether the details are unfolded.
        spans: Its phases.
        done: Whether the last phase has ended.
        snapshot: Its events, and the last lines of its sidecars.
        pod: The pod in YAML; may be empty.
        used: The rows of :func:`resource_usage`.
    """
    parts = [_waterfall(spans, done), _table(used)]
    if snapshot.events:
        parts.append(_fold(name, "events", "\n".join(snapshot.events[-MAX_EVENTS:])))
    parts += [_fold(name, f"last lines of {each}", text) for each, text in snapshot.tails if text]
    if pod:
        parts.append(_fold(name, "pod, in YAML", pod))
    return _details(name, escape(summary_line(spans, done)), "".join(parts))


def _waterfall(spans: list[PhaseSpan], done: bool) -> str:
    total = max((start + seconds for _, start, seconds in spans), default=0.0) or 1.0
    slowest = max((seconds for *_, seconds in spans), default=0.0)
    rows = []
    for number, (phase, start, seconds) in enumerate(spans, 1):
        last = number == len(spans)
        if seconds < MIN_SHOWN_SECONDS and not phase.text and not last:
            continue
        weight = "font-weight:600" if seconds == slowest else ""
        left, width = 100 * start / total, 100 * seconds / total
        rows.append(
            f'<span style="{weight}">{escape(phase.name)}</span>'
            f'<span style="text-align:right;{weight}">{f"{seconds:.1f} s" if done or not last else "…"}</span>'
            f'<span style="{BAR_STYLE};opacity:.55;margin-left:{left:.1f}%;width:{width:.1f}%"></span>'
        )
        if phase.text:
            rows.append(f'<span style="{TEXT_ROW_STYLE}">{escape(phase.full_text)}</span>')
    return (
        '<div style="display:grid;grid-template-columns:max-content max-content minmax(6em,24em);'
        f'column-gap:1em;white-space:normal;{INDENT_STYLE}">{"".join(rows)}</div>'
    )


def _table(used: list[tuple[str, str, str, str]]) -> str:
    if not used:
        return ""
    rows = [("", "used", "asked for", "limit"), *used]
    cells = "".join(f"<span>{escape(text)}</span>" for row in rows for text in row)
    return (
        f'<div style="display:grid;grid-template-columns:repeat(4,auto);width:max-content;max-width:100%;'
        f'column-gap:1em;white-space:normal;margin-top:.4em;{INDENT_STYLE}">{cells}</div>'
    )


def _fold(name: str, title: str, text: str) -> str:
    return (
        f'<div style="{INDENT_STYLE}">{_details(f"{name} {title}", escape(title), _pre(title, text))}</div>'
    )


def _pre(title: str, text: str) -> str:
    return f'<pre tabindex="0" role="region" aria-label="{escape(title)}" style="{TEXT_STYLE}">{escape(text)}</pre>'


def _details(key: str, summary: str, content: str) -> str:
    restore_state = f"const d=this.parentNode;d.open=!!{OPEN_STATES_JS}[d.dataset.key];this.remove()"
    return (
        f'<details style="white-space:normal" data-key="{escape(key)}" '
        f'ontoggle="{OPEN_STATES_JS}[this.dataset.key]=this.open"><summary style="cursor:pointer">{summary}</summary>'
        f'{content}<img src="data:," alt="" hidden onerror="{restore_state}"></details>'
    )

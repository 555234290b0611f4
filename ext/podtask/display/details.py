"""What a task's status line unfolds: phases, values, notices, events, sidecars and the pod.

It can be unfolded without a kernel, also in a saved notebook.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from ..backends.base import Snapshot
from ..config.quantities import byte_size
from ..lifecycle.outcome import Outcome
from ..lifecycle.task import Task
from ..lifecycle.updates import PhaseSpan
from ..manifest.pod_manifest import PodManifest
from ..runner.durations import exact_duration
from ..template.yaml_writer import dump_yaml
from .status_line import fold

REFRESH_SECONDS = 0.5  # between two versions, so that a quick start makes only one
SNAPSHOT_SECONDS = 1.0  # until the first snapshot; the pause doubles each time
MAX_SNAPSHOT_SECONDS = 60.0
MIN_SHOWN_SECONDS = 0.05  # shorter phases get no bar
MAX_EVENTS = 20
MAX_VALUES = 20
HIDDEN_VALUE = "(not shown: it may be a secret)"
BAR_STYLE = "height:.6em;border-radius:2px;background:currentColor;align-self:center;min-width:2px"
LIVE_BAR_STYLE = ";background:linear-gradient(to right,currentColor,transparent)"
LIVE_BAR_SHARE = 0.25  # of the width, for the phase that goes on: the details are not drawn again as it does
MIN_LIVE_SECONDS = 1.0  # in the width, so that what took no time does not fill it while a phase goes on
INDENT_STYLE = "margin-left:3.75ch"  # below the words of the status line
# A long text wraps at the width of the rows above it.
TEXT_ROW_STYLE = "grid-column:1/-1;width:0;min-width:100%;padding-left:1em;box-sizing:border-box"
TEXT_STYLE = (
    "margin:.2em 0 .4em;padding:.4em .8em;overflow:auto;max-height:22em;white-space:pre-wrap;overflow-wrap:anywhere;word-break:normal;\
background:rgba(128,128,128,.12);color:inherit;border-radius:4px;font:inherit"
)


@dataclass(frozen=True)
class Facts:
    """What is known of a task, besides its status line.

    Args:
        name: Name of the pod or the process; the page uses it to remember what is unfolded.
        where: Where it runs, in words.
        spans: Its phases.
        done: Whether the last phase has ended.
        snapshot: Its events, and the last lines of its sidecars.
        pod: The pod in YAML; may be empty.
        used: The rows of :func:`resource_usage`.
        values: (what happened, name, type, size) of each value, as text.
        notices: Notices on the template and the options.
    """

    name: str
    where: str
    spans: Sequence[PhaseSpan]
    done: bool
    snapshot: Snapshot = field(default_factory=Snapshot)
    pod: str = ""
    used: Sequence[tuple[str, str, str, str]] = ()
    values: Sequence[tuple[str, str, str, str]] = ()
    notices: Sequence[str] = ()


class Details:
    """What the status line of a task unfolds; made again when it has changed.

    Args:
        task: The task.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._made_at = 0.0
        self._html = ""
        self._state: tuple[float, int, Snapshot, bool] | None = None
        self._snapshot = Snapshot()
        self._request: concurrent.futures.Future[Snapshot] | None = None
        self._pause, self._next = SNAPSHOT_SECONDS, time.monotonic() + SNAPSHOT_SECONDS

    def html(self) -> str:
        """Return the details as HTML; called often."""
        if not self._task.local:  # a process has no events and no sidecars
            self._update_snapshot()
        done, now = self._task.done(), time.monotonic()
        state = self._task.phases[-1].start, len(self._task.notices), self._snapshot, done
        if state != self._state and (done or now - self._made_at >= REFRESH_SECONDS):
            self._state, self._made_at = state, now
            self._html = details_html(self._facts(done))
        return self._html

    def _facts(self, done: bool) -> Facts:
        task = self._task
        pod = {} if task.local else task.manifest
        outcome = task.outcome() if done else Outcome("")
        return Facts(
            name=task.name,
            where=task.where if task.local else task.url or task.where,
            spans=list(merge_phases(task.phases)),
            done=done,
            snapshot=self._snapshot,
            pod=pod_yaml(pod),
            used=resource_usage(pod, task.usage),
            values=value_rows(task.inputs, outcome),
            notices=[*task.notices, *filter(None, [task.shared_values])],
        )

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
    with_files = _size(max(usage.get("container", 0), usage["process"]))
    if with_files != _size(usage["process"]):
        memory += f", {with_files} with its files"
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


def value_rows(inputs: Mapping[str, tuple[str, int]], outcome: Outcome) -> list[tuple[str, str, str, str]]:
    """Return (what happened, name, type, size) of each value, as text; the largest first.

    Args:
        inputs: The variables that were sent: name -> (type, bytes).
        outcome: The outcome of the task.
    """
    sent = [(name, kind, size) for name, (kind, size) in inputs.items() if not name.startswith("__")]
    rows = [
        (what, name, kind, byte_size(size))
        for what, values in (("sent", sent), ("brought back", outcome.returned))
        for name, kind, size in sorted(values, key=lambda value: -value[2])[:MAX_VALUES]
    ]
    left = outcome.left_in_pod[:MAX_VALUES]
    return [*rows, *(("not brought back", name, kind, "") for name, kind in left)]


def details_html(facts: Facts) -> str:
    """Return the details as HTML."""
    name = facts.name
    parts = [_waterfall(facts.spans, facts.done)]
    if facts.used:
        parts.append(_table([("", "used", "asked for", "limit"), *facts.used]))
    parts += [_table(facts.values), _place_row(facts.where, name), *map(_text_row, facts.notices)]
    if facts.snapshot.events:
        parts.append(_section(name, "events", "\n".join(facts.snapshot.events[-MAX_EVENTS:])))
    parts += [_section(name, f"last lines of {each}", text) for each, text in facts.snapshot.tails if text]
    if facts.pod:
        parts.append(_section(name, "pod, in YAML", facts.pod))
    return "".join(parts)


def _waterfall(spans: Sequence[PhaseSpan], done: bool) -> str:
    """Return a row for each phase: its name, its time and a bar; that of the current phase fades out."""
    ended = spans if done else spans[:-1]
    total = max((start + seconds for _, start, seconds in ended), default=0.0) or 1.0
    total = total if done else max(MIN_LIVE_SECONDS, total / (1 - LIVE_BAR_SHARE))
    slowest = max((seconds for *_, seconds in ended), default=0.0)
    rows = []
    for number, (phase, start, seconds) in enumerate(spans, 1):
        last = number == len(spans)
        live = last and not done
        if seconds < MIN_SHOWN_SECONDS and not phase.text and not last:
            continue
        weight = "font-weight:600" if done and seconds == slowest else ""
        left, width = 100 * start / total, 100 * seconds / total
        bar = f"margin-left:{left:.1f}%;width:{100 - left if live else width:.1f}%{LIVE_BAR_STYLE if live else ''}"
        rows.append(
            f'<span style="{weight}">{escape(phase.name)}</span>'
            f'<span style="text-align:right;{weight}">{"…" if live else exact_duration(seconds)}</span>'
            f'<span style="{BAR_STYLE};opacity:.55;{bar}"></span>'
        )
        if phase.text and not live:  # the status line has the text of the current phase
            rows.append(f'<span style="{TEXT_ROW_STYLE}">{escape(phase.text)}</span>')
    return (
        '<div style="display:grid;grid-template-columns:max-content max-content minmax(6em,24em);'
        f'column-gap:1em;white-space:normal;{INDENT_STYLE}">{"".join(rows)}</div>'
    )


def _table(rows: Sequence[tuple[str, str, str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(f"<span>{escape(text)}</span>" for row in rows for text in row)
    return (
        f'<div style="display:grid;grid-template-columns:repeat(4,auto);width:max-content;max-width:100%;'
        f'column-gap:1em;white-space:normal;margin-top:.4em;{INDENT_STYLE}">{cells}</div>'
    )


def _place_row(where: str, name: str) -> str:
    """Return where the task runs; the name of its pod is not broken at its hyphen."""
    shown = escape(where).replace(escape(name), f'<span style="white-space:nowrap">{escape(name)}</span>')
    return _row(shown) if where else ""


def _text_row(text: str) -> str:
    return _row(escape(text))


def _row(html: str) -> str:
    return f'<div style="margin-top:.4em;{INDENT_STYLE}">{html}</div>'


def _section(name: str, title: str, text: str) -> str:
    summary = f'<summary style="cursor:pointer">{escape(title)}</summary>'
    return f'<div style="{INDENT_STYLE}">{fold(f"{name} {title}", summary, _pre(title, text))}</div>'


def _pre(title: str, text: str) -> str:
    return f'<pre tabindex="0" role="region" aria-label="{escape(title)}" style="{TEXT_STYLE}">{escape(text)}</pre>'

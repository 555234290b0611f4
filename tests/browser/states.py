"""All states of the line under a cell, drawn by the code that draws it: ``python -m tests.browser.states``.

The command writes the pages to build/states and prints the lines as a terminal shows them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import yaml
from podtask import PodTemplate, RunOptions
from podtask.api.submit import preview
from podtask.backends.base import Phase, Snapshot
from podtask.display.details import Facts, details_html, value_rows
from podtask.display.map_view import map_status
from podtask.display.status_line import OPEN_STATES_JS, Clock, StatusLine, TaskState, end_line
from podtask.display.task_table import CallLine, calls_status
from podtask.errors import InputError
from podtask.frontend import TEXT_STYLE, Status, Tone
from podtask.lifecycle.outcome import Outcome
from podtask.lifecycle.updates import PhaseSpan, Usage
from podtask.magics.dry_run import Preview
from podtask.maps.progress import FailureGroup, ItemState, Progress
from podtask.presets import sidecar

BUILD = Path(__file__).parent.parent.parent / "build" / "states"
INPUTS = {"steps": ("range", 48), "images": ("ndarray", 120 << 20)}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "podtask-3f9c2a71d0", "labels": {"team": "vision"}},
    "spec": {
        "containers": [
            {
                "name": "primary",
                "image": "python:3.11-slim",
                "resources": {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "8Gi"}},
            }
        ]
    },
}
SPANS = [
    PhaseSpan(Phase("Packing"), 0.0, 0.2),
    PhaseSpan(Phase("Creating", "in kind/team-a"), 0.2, 0.1),
    PhaseSpan(Phase("Starting", "on node worker-2"), 0.3, 1.4),
    PhaseSpan(Phase("Running"), 1.7, 10.1),
    PhaseSpan(Phase("Fetching"), 11.8, 0.3),
]
WHERE = "kind/team-a/podtask-3f9c2a71d0 (kubectl --context kind -n team-a get pod podtask-3f9c2a71d0)"
EVENTS = (
    "Scheduled: Successfully assigned team-a/podtask-3f9c2a71d0 to worker-2",
    'Pulled: Container image "python:3.11-slim" already present on machine',
)
NO_HOST = Phase(
    "ImagePullBackOff",
    "image pytohn:3.11: the registry cannot be reached (no such host)",
    waiting=True,
    hint="The node will retry; check the image's name and registry.",
)
NO_GPU = Phase(
    "Unschedulable",
    "too little free nvidia.com/gpu (3 of 3 nodes)",
    waiting=True,
    hint="Request less nvidia.com/gpu (--gpu), or wait until some is free: spec.containers[].resources.limits.",
)
NO_NODE_HAS = Phase(
    "Unschedulable",
    "no node of this cluster has amd.com/gpu",
    waiting=True,
    hint="Request a device that a node has (--gpu-key), or ask the cluster's administrator: "
    "spec.containers[].resources.limits.",
)
NO_SECRET = Phase(
    "Missing secret",
    "secret 'hugging-face' does not exist (container 'primary' needs it)",
    hint="Create secret 'hugging-face' in the pod's namespace, or change spec.containers[primary].env in the template.",
    limit=6,
)
ADMISSION = Phase(
    "Gated",
    "3rd of 7 in queue 'team-a'; 1 more nvidia.com/gpu needed",
    waiting=True,
    hint="Wait, request less, or choose another --queue.",
)
NO_QUEUE = Phase(
    "Gated",
    "queue 'nightly' does not exist in the namespace of the pod",
    hint="Choose another --queue (kubectl get localqueues), or another namespace with -n.",
    limit=6,
)
RUNNING = Phase("Running")
SIDECAR = {"redis": "image redis:77 of sidecar 'redis': not found in its registry"}
OK = Outcome("ok", returned=[("total", "int", 5)], left_in_pod=[("scale", "float")])
LARGE = Outcome(
    "ok",
    returned=[("model", "Net", 340 << 20), ("total", "int", 5)],
    left_in_pod=[(name, "float") for name in ("scale", "shift", "epoch", "loss", "best", "lr", "decay")],
    changed_inputs=["rows"],
)
STOPPED = Outcome("error", error=KeyboardInterrupt("stopped"))
CANCELLED = Outcome("cancelled", error=KeyboardInterrupt("stopped"))


def _running(seconds: float = 12.0, **state: object) -> StatusLine:
    return TaskState(RUNNING, seconds, seconds + 2.5, running=True, **state).line  # type: ignore[arg-type]


STATES: dict[str, StatusLine] = {
    "packing": TaskState(Phase("Packing"), 0.3, 0.3).line,
    "connecting": TaskState(Phase("Connecting"), 0.4, 0.5).line,
    "creating": TaskState(Phase("Creating", "in kind/team-a"), 0.1, 0.6).line,
    "waiting for a node": TaskState(Phase("Pending"), 1.0, 1.2).line,
    "waiting for a GPU": TaskState(NO_GPU, 42.0, 44.0, 1756.0).line,
    "waiting for a device that no node has": TaskState(NO_NODE_HAS, 3.0, 4.0, 1796.0).line,
    "waiting for an image": TaskState(NO_HOST, 12.0, 42.0, 1756.0).line,
    "waiting for a secret": TaskState(NO_SECRET, 2.0, 9.0, 1756.0).line,
    "queued": TaskState(ADMISSION, 130.0, 131.5, 1800.0, name="train").line,
    "queued, no such queue": TaskState(NO_QUEUE, 2.0, 3.0, 1800.0, name="train").line,
    "starting": TaskState(Phase("Starting", "on node worker-2"), 3.0, 4.0).line,
    "pulling": TaskState(Phase("Pulling", 'pulling image "python:3.11-slim"'), 20.0, 22.0).line,
    "installing": TaskState(Phase("Installing", "numpy, pandas"), 6.0, 9.0, running=True).line,
    "running": _running(),
    "running, with live use": _running(usage=Usage(1.44, 5 << 29, 2, 8 << 30)),
    "running, sidecar does not start": _running(sidecars=SIDECAR),
    "running, detached": _running(4000.0, name="train"),
    "running, local": _running(local=True),
    "asking": _running(asking=True),
    "stopping": _running(stops=1),
    "stopping, pressed twice": _running(stops=2),
    "stopping, local": _running(stops=1, local=True),
    "fetching": TaskState(Phase("Fetching"), 0.5, 12.5, running=True).line,
    "ok": end_line(OK, 12.1, inputs=INPUTS),
    "ok, many values": end_line(LARGE, 73.4, inputs=INPUTS),
    "ok, sidecar did not start": end_line(Outcome("ok"), 1.2, sidecars=list(SIDECAR)),
    "ok, batch mode": end_line(Outcome("ok"), 4.2, channel="batch"),
    "ok, local": end_line(OK, 0.6, where="local"),
    "failed": end_line(Outcome("error", error=ZeroDivisionError()), 0.6),
    "failed, local": end_line(Outcome("error", error=ZeroDivisionError()), 0.6, where="local"),
    "crashed": end_line(Outcome("crashed"), 31.0),
    "timed out": end_line(Outcome("timeout"), 60.0),
    "stopped": end_line(STOPPED, 3.4, stopped=True),
    "stopped, pressed twice": end_line(CANCELLED, 5.1, stopped=True),
    "detached, ok": end_line(OK, 812.0, name="train", handle="train"),
    "detached, failed": end_line(Outcome("error", error=ZeroDivisionError()), 812.0, name="train"),
    "detached, cancelled": end_line(CANCELLED, 8.0, name="train"),
}
CALLS = calls_status(
    [
        CallLine(Tone.GOOD, "✓", "0 · 3.1 s"),
        CallLine(Tone.BAD, "✗", "1 · failed after 2.8 s"),
        CallLine(Tone.GOOD, "●", "2 · running", Clock(12.0)),
        CallLine(
            Tone.WARN, "○", "3 · waiting for a node: too little free memory (3 of 3 nodes)", Clock(12.0)
        ),
        CallLine(Tone.NONE, "○", "4 · starting on node worker-2", Clock(1.0)),
    ],
    done=2,
    total=8,
)
FAILURES = (
    FailureGroup(
        "ValueError", "line 5", (17, 20, 31, 44, 58, 61, 70, 71, 80), "empty file: '/scans/0017.nii'"
    ),
    FailureGroup("Lost", "", (9, 52), "Item 9 was lost with its worker (pod podtask-x7k2): out of memory"),
)
OVER_QUOTA = InputError(
    "The API server rejected the pod in kind/team-a: exceeded quota: team-a, requested: pods=1, used: pods=8, limited: pods=8",
    "Quota team-a of namespace team-a is used up: delete other pods, request less, or choose another namespace with -n.",
)
TRACEBACK = """\
Traceback (most recent call last):
  Cell In[4], line 5
    raise ValueError(f"empty file: {path!r}")
ValueError: empty file: '/scans/0017.nii'"""


def _map(states: bytes, failures: tuple[FailureGroup, ...] = (), **known: object) -> Progress:
    """Return a map in which each item has a state."""
    counts = {state: states.count(state) for state in ItemState}
    failed = counts[ItemState.FAILED] + counts[ItemState.LOST]
    values: dict[str, Any] = {"workers": 0, "starting": 0, "waits_for": None, "seconds": 38.0, **known}
    done = counts[ItemState.SUCCEEDED] + failed
    return Progress(
        len(states), done, failed, counts[ItemState.STOPPED], failures=failures, states=states, **values
    )


def _states(total: int, *parts: tuple[ItemState, int]) -> bytearray:
    """Return states: so many items in each, then those that wait."""
    states = bytearray(total)
    start = 0
    for state, count in parts:
        states[start : start + count] = bytes([state]) * count
        start += count
    return states


def _failed(states: bytearray) -> bytes:
    for group in FAILURES:
        state = ItemState.LOST if group.kind == "Lost" else ItemState.FAILED
        for index in group.indexes:
            states[index] = state
    return bytes(states)


DONE, RUNS, NOT_RUN = ItemState.SUCCEEDED, ItemState.RUNNING, ItemState.STOPPED
MAPS: dict[str, Status] = {
    "map, starting": map_status(_map(bytes(12), seconds=0.0, starting=4, waits_for=NO_GPU)),
    "map, running": map_status(
        _map(_failed(_states(120, (DONE, 84), (RUNS, 8))), FAILURES, workers=8, starting=2)
    ),
    "map, some workers wait": map_status(
        _map(bytes(_states(120, (DONE, 31), (RUNS, 8))), workers=8, starting=2, waits_for=ADMISSION)
    ),
    "map, some workers did not start": map_status(
        _map(bytes(_states(120, (DONE, 31), (RUNS, 8))), workers=8, start_failures=4, start_error=OVER_QUOTA)
    ),
    "map, ok": map_status(_map(bytes(_states(7, (DONE, 7))), seconds=3.4), "ok", str),
    "map, failed": map_status(
        _map(_failed(_states(120, (DONE, 120))), FAILURES), "failed", lambda _: TRACEBACK
    ),
    "map, stopped": map_status(_map(bytes(_states(40, (DONE, 22), (NOT_RUN, 18)))), "stopped", str),
    "map, 10,000 items": map_status(
        _map(_failed(_states(10_000, (DONE, 6215), (RUNS, 64))), FAILURES, workers=64)
    ),
}


@dataclass(frozen=True)
class Surroundings:
    """What surrounds a cell.

    Args:
        theme: Theme of JupyterLab whose variables the page has; empty for none.
        style: Style of the page.
        width: Width of the page in CSS pixels.
    """

    theme: str
    style: str
    width: int = 1280


JUPYTERLAB = "background:var(--jp-layout-color0);color:var(--jp-content-font-color1)"
VS_CODE = (
    "background:#1f1f1f;color:#cccccc;--vscode-charts-green:#89d185;--vscode-charts-red:#f14c4c;"
    "--vscode-charts-orange:#d18616;--vscode-editor-font-family:monospace"
)
SURROUNDINGS = {
    "light": Surroundings("light", JUPYTERLAB),
    "dark": Surroundings("dark", JUPYTERLAB),
    "vscode-dark": Surroundings("", VS_CODE),
    "high-contrast": Surroundings("dark-high-contrast", JUPYTERLAB),
    "narrow": Surroundings("light", JUPYTERLAB, 900),
}


def details() -> str:
    """Return what a line unfolds, with every part."""
    return details_html(
        Facts(
            name="podtask-3f9c2a71d0",
            where=WHERE,
            spans=SPANS,
            done=True,
            snapshot=Snapshot(EVENTS, (("redis", "Ready to accept connections"),)),
            pod=yaml.safe_dump(POD, sort_keys=False),
            used=[("cpu", "15.1 s, 1.5 on average", "2", "–"), ("memory", "2.5 GiB at most", "1Gi", "8Gi")],
            values=value_rows(INPUTS, OK),
            notices=["spec.restartPolicy becomes Never: the runner restarts nothing."],
        )
    )


def terminal_text() -> str:
    """Return all lines as a terminal shows them."""
    states = {**{name: line.status() for name, line in STATES.items()}, "calls of a map": CALLS, **MAPS}
    return "".join(
        "\n".join([f"{name}:", *(f"  {row}" for row in status.lines), ""]) for name, status in states.items()
    )


def page(surroundings: Surroundings) -> str:
    """Return a page with all states, as the output area of a notebook shows them."""
    rows = [
        f'<p class="title">{escape(name)}</p><div style="{TEXT_STYLE}">{line.status(name, details()).html}</div>'
        for name, line in STATES.items()
    ]
    rows.append(f'<p class="title">calls of a map</p><div style="{TEXT_STYLE}">{CALLS.html}</div>')
    for name, status in MAPS.items():
        shown = status.html.replace("<details ", "<details open ", 1)
        rows.append(f'<p class="title">{escape(name)}</p><div style="{TEXT_STYLE}">{shown}</div>')
    unfolded = STATES["ok"].status("unfolded", details()).html.replace("<details ", "<details open ")
    rows.append(f'<p class="title">unfolded</p><div class="unfolded" style="{TEXT_STYLE}">{unfolded}</div>')
    running = details_html(Facts("podtask-3f9c2a71d0", WHERE, SPANS[:-1], done=False))
    live = STATES["running"].status("running-unfolded", running).html.replace("<details ", "<details open ")
    rows.append(f'<p class="title">unfolded, running</p><div style="{TEXT_STYLE}">{live}</div>')
    rows.append(f'<p class="title">dry run</p>{dry_run()}')
    return (
        f"<!DOCTYPE html><html lang=en><head><title>States</title><script>Object.assign({OPEN_STATES_JS},{{unfolded:true,'running-unfolded':true,'failed 0':true}})</script><style>{_theme(surroundings.theme)}"
        "body{margin:0;padding:12px 24px;font-family:sans-serif}"
        ".title{margin:10px 0 0;font-size:11px;opacity:.75}</style></head>"
        f'<body class="jp-RenderedHTMLCommon" style="{surroundings.style}">{"".join(rows)}</body></html>'
    )


def dry_run() -> str:
    """Return the card of a dry run that asks no cluster, of a template with lists that podtask adds to."""
    container = {"name": "primary", "image": "team/train:7", "env": [{"name": "HF_HOME", "value": "/cache"}]}
    template = PodTemplate({"containers": [container], "restartPolicy": "Always"}).with_(
        sidecar("redis", "redis:7")
    )
    options = RunOptions.of(template=template, local=True, image="python:3.11-slim")
    manifest = preview(options)
    answer = ("The API server accepts this pod in namespace team-a.",)
    shown = Preview(manifest.pod, manifest.notices, template, options, answer, Tone.GOOD, {})
    return shown._repr_html_().replace("<details><summary>YAML", "<details open><summary>YAML")


def _theme(name: str) -> str:
    if not name:
        return ""
    themes = Path(sys.prefix) / "share/jupyter/lab/themes/@jupyterlab"
    return (themes / f"theme-{name}-extension" / "index.css").read_text(encoding="utf-8")


def main() -> None:
    """Write the pages, and print the lines."""
    BUILD.mkdir(parents=True, exist_ok=True)
    for name, surroundings in SURROUNDINGS.items():
        (BUILD / f"{name}.html").write_text(page(surroundings), encoding="utf-8")
    print(terminal_text(), end="")


if __name__ == "__main__":
    main()

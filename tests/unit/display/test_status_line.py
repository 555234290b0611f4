"""The line under a cell: all its states as a terminal shows them (states.txt), and what the page counts."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from podtask.backends.base import Phase
from podtask.diagnosis.model import GATED
from podtask.display.status_line import StatusLine, TaskState, end_line
from podtask.frontend import Tone
from podtask.lifecycle.outcome import Outcome
from podtask.lifecycle.updates import Usage

from tests.browser.states import STATES, terminal_text

TEXTS = Path(__file__).parent / "states.txt"
RUNNING = Phase("Running")


def test_all_states() -> None:
    """Each state has its line; PODTASK_WRITE=1 writes the file anew."""
    if os.environ.get("PODTASK_WRITE"):
        TEXTS.write_text(terminal_text(), encoding="utf-8")
    assert terminal_text() == TEXTS.read_text(encoding="utf-8")


def test_local_never_says_pod() -> None:
    """U12: whatever a local cell does, its line says "local" and never "pod"."""
    left = Outcome("ok", left_in_pod=[("x", "int")], changed_inputs=["rows"], never_set=["y"])
    lines = [
        TaskState(Phase("Pending"), local=True).line,
        TaskState(Phase("Running", "on this machine"), local=True).line,
        TaskState(RUNNING, running=True, local=True).line,
        *(end_line(outcome, 1.0, where="local") for outcome in (left, Outcome("error"), Outcome("crashed"))),
    ]
    assert [line.text for line in lines if "pod" in line.text or "local" not in line.text] == []


@pytest.mark.parametrize("status", ["error", "crashed", "timeout", "terminated", "failed", "['ok']"])
def test_only_ok_is_good(status: str) -> None:
    """Every end but ok has a red mark, also one that a hostile pod has invented."""
    line = end_line(Outcome(status), 1.0)
    assert (line.mark, line.tone) == ("✗", Tone.BAD)


@pytest.mark.parametrize(
    ("outcome", "stopped", "text"),
    [
        (Outcome("error", error=KeyboardInterrupt()), True, "stopped after 1.0 s in a pod"),
        (Outcome("error", error=KeyboardInterrupt()), False, "stopped after 1.0 s in a pod"),
        (Outcome("cancelled", error=KeyboardInterrupt()), True, "stopped after 1.0 s in a pod"),
        (Outcome("cancelled", error=KeyboardInterrupt()), False, "cancelled after 1.0 s in a pod"),
        (Outcome("ok"), True, "1.0 s in a pod"),
        (Outcome("error", error=ValueError()), True, "failed after 1.0 s in a pod"),
    ],
)
def test_end_of_a_cell_that_was_stopped(outcome: Outcome, stopped: bool, text: str) -> None:
    """U16: a cell that the user has stopped is stopped, unless it has caught the interrupt."""
    assert end_line(outcome, 1.0, stopped=stopped).text == text


def test_values_on_the_line() -> None:
    """U20: small values have names only; types and sizes are shown from 1 MiB on; long lists are cut."""
    outcome = Outcome(
        "ok",
        returned=[("small", "int", 5), ("big", "Net", 3 << 20)],
        left_in_pod=[(f"v{n}", "int") for n in range(9)],
    )
    line = end_line(outcome, 1.0, inputs={"a": ("int", 5), "b": ("bytes", 1 << 20)})
    assert line.parts[1:] == (
        "in: b (bytes, 1 MiB)",
        "back: big (Net, 3 MiB), small",
        "not brought back: v0, v1, v2, v3, v4, v5, 3 more",
    )


def test_values_of_a_detached_cell_on_the_line() -> None:
    """The line of a detached cell says how the notebook gets the values that came back."""
    outcome = Outcome("ok", returned=[("a", "int", 5), ("b", "int", 5)])
    assert end_line(outcome, 1.0, handle="train").parts[-1] == "back: a, b; train.assign() sets them"
    assert len(end_line(Outcome("ok"), 1.0, handle="train").parts) == 1


def test_version_does_not_depend_on_times() -> None:
    """U26: a line whose times only count has the same version; another cause has another one."""

    def version(text: str, seconds: float) -> object:
        phase = Phase("Unschedulable", text, waiting=True, hint="Wait.")
        return TaskState(phase, seconds, seconds + 5, 1800 - seconds).line.status().version

    assert version("no room", 3.0) == version("no room", 50.0)
    assert version("no room", 3.0) != version("a taint", 3.0)


def test_page_counts_each_time() -> None:
    """U14: the seconds of the phase and the total count up, the time that is left counts down."""
    phase = Phase("Unschedulable", "no room", waiting=True)
    html = TaskState(phase, 12.0, 42.0, 1756.0).line.status().html
    for text in (
        '<span data-s="12.0" data-d="1">12 s</span>',
        '<span data-s="42.0" data-d="1">42 s</span> in total',
        'gives up in <span data-s="1756.0" data-d="-1">29 min</span>',
    ):
        assert text in html
    assert "data-s" not in end_line(Outcome("ok"), 1.0).status().html


@pytest.mark.parametrize(
    ("phase", "seconds", "text"),
    [
        (
            Phase("Unschedulable", "no room", waiting=True),
            42.0,
            "waiting for a node: no room · 12 s · 42 s in total · gives up in 29 min",
        ),
        (
            Phase("Unschedulable", "no room", waiting=True),
            13.0,
            "waiting for a node: no room · 12 s · gives up in 29 min",
        ),
        (Phase(GATED, "3rd of 9", waiting=True), 42.0, "queued: 3rd of 9 · 12 s · 42 s in total"),
        (
            Phase("Pending", "claim 'data' does not exist", limit=18.0),
            13.0,
            "waiting for a node: claim 'data' does not exist · 12 s · gives up in 6 s",
        ),
        (Phase("Pulling", "pulling a:1"), 42.0, "pulling a:1 · 12 s"),
    ],
    ids=["waiting", "first phase", "in a queue", "missing object", "progress"],
)
def test_times_of_a_pod_that_waits(phase: Phase, seconds: float, text: str) -> None:
    """U14: its phase, all of it if that is longer, and when it gives up, unless the time does not count."""
    assert TaskState(phase, 12.0, seconds, 1756.0).line.text == text


@pytest.mark.parametrize("running", [False, True])
def test_sidecar_that_does_not_start_is_on_each_line(running: bool) -> None:
    """U15: whatever the cell does, the line names the sidecar and the cause; so does the last line."""
    causes = {
        "db": "secret 'db' does not exist (sidecar 'db' needs it)",
        "web": "sidecar 'web' keeps exiting",
    }
    phase = RUNNING if running else Phase("Starting", "on node a")
    line = TaskState(phase, 3.0, running=running, sidecars=causes).line
    assert line.parts[1:] == ("sidecar db does not start", "sidecar web does not start")
    assert (line.tone, line.advice) == (Tone.WARN, "; ".join(causes.values()))
    for outcome in (Outcome("ok"), Outcome("error", error=ValueError())):
        last = end_line(outcome, 1.0, sidecars=list(causes))
        assert last.text.endswith(" in a pod · sidecar db did not start · sidecar web did not start")


@pytest.mark.parametrize(
    ("usage", "text"),
    [
        (Usage(1.44, 5 << 29, 2, 8 << 30), "1.4 of 2 CPUs, 2.5 of 8 GiB"),
        (Usage(0.02, 100 << 20, 0.5, 512 << 20), "0.0 of 0.5 CPUs, 100 of 512 MiB"),
        (Usage(12.0, 3 << 30, None, None), "12.0 CPUs, 3.0 GiB"),
    ],
)
def test_line_of_a_running_cell_says_what_it_uses(usage: Usage, text: str) -> None:
    """U20: while the cell runs, and nothing is more important; it does not replace the line at once."""
    state = TaskState(RUNNING, 12.0, running=True, usage=usage)
    assert state.line.text == f"running in a pod · 12 s · {text}"
    assert text in state.line.status().html.replace("\u00a0", " ")
    assert state.line.status().version == replace(state, usage=None).line.status().version
    for other in (replace(state, asking=True), replace(state, stops=1), replace(state, local=True)):
        assert "CPUs" not in other.line.text


def test_separators_and_units_are_not_at_the_end_of_a_wrapped_line() -> None:
    """U20: the page breaks the line before a separator, and not between a number and its unit."""
    phase = Phase("Unschedulable", "no room", waiting=True)
    lines = [
        TaskState(phase, 12.0, 42.0, 1756.0, name="train").line,
        TaskState(RUNNING, running=True, usage=Usage(1.44, 5 << 29, 2, 8 << 30)).line,
        end_line(Outcome("ok", returned=[("big", "Net", 3 << 20)]), 0.6, name="train"),
    ]
    for line in lines:
        html = line.status("key", "details").html
        assert html.count(" ·\u00a0") == line.text.count(" · ")
        assert not re.search(r"· |\d (GiB|MiB|CPUs)|\d s in", html)


def test_html_is_escaped() -> None:
    """Names and causes are escaped."""
    line = StatusLine(Tone.NONE, "<", ("<b>", "<i>"), advice="<u>")
    for html in (line.status("<key>").html, line.status("<key>", "details").html):
        assert not [text for text in ("<b>", "<i>", "<u>", "<key>") if text in html]


def test_every_state_is_distinct() -> None:
    """No two states look the same."""
    assert len({(line.mark, line.text) for line in STATES.values()}) == len(STATES)

"""The details under the status line: their text and HTML."""

from __future__ import annotations

import pytest
from podtask.backends.base import Phase, Snapshot
from podtask.display.details import (
    Facts,
    details_html,
    merge_phases,
    pod_yaml,
    resource_usage,
    value_rows,
)
from podtask.lifecycle.outcome import Outcome
from podtask.lifecycle.updates import PhaseSpan

SPANS = [
    PhaseSpan(Phase("Pending"), 0.0, 0.01),
    PhaseSpan(Phase("Creating", "in kind/default"), 0.01, 0.09),
    PhaseSpan(Phase("Pending", "no node has a GPU", waiting=True), 0.1, 4.0),
    PhaseSpan(Phase("Pending", "pulling <image>"), 4.1, 1.0),
    PhaseSpan(Phase("Running"), 5.1, 2.0),
]


def test_phase_with_several_texts_is_one() -> None:
    """Each phase has one bar with its latest text; phases without a duration are omitted."""
    spans = list(merge_phases(SPANS))
    assert [(phase.name, round(seconds, 2)) for phase, _, seconds in spans] == [
        ("Pending", 0.01),
        ("Creating", 0.09),
        ("Pending", 5.0),
        ("Running", 2.0),
    ]


def test_html_is_escaped_and_names_the_slowest() -> None:
    """Texts of the cluster and of sidecars are escaped; the longest phase is emphasized."""
    shown = details_html(
        Facts(
            name="podtask-1",
            where="kind/<ns>/podtask-1",
            spans=list(merge_phases(SPANS)),
            done=True,
            snapshot=Snapshot(("Failed: <b>",), (("side", "a < b"),)),
            pod="spec: <x>",
            used=[("cpu", "1.0 s", "<2>", "–")],
            values=[("sent", "<v>", "int", "5 B")],
            notices=["<n> was replaced"],
        )
    )
    for text in (
        "pulling &lt;image&gt;",
        "Failed: &lt;b&gt;",
        "a &lt; b",
        "spec: &lt;x&gt;",
        "&lt;2&gt;",
        'kind/&lt;ns&gt;/<span style="white-space:nowrap">podtask-1</span>',
        "&lt;v&gt;",
        "&lt;n&gt; was replaced",
        "last lines of side",
        '<span style="font-weight:600">Pending</span>',
    ):
        assert text in shown
    assert "<b>" not in shown


def test_no_phase_is_emphasized_while_one_goes_on() -> None:
    """Which phase is the slowest is known at the end."""
    shown = details_html(Facts("podtask-1", "kind/n/podtask-1", list(merge_phases(SPANS)), done=False))
    assert "font-weight" not in shown


@pytest.mark.parametrize("done", [False, True])
def test_details_do_not_repeat_the_line(done: bool) -> None:
    """U20: the line has cause and advice of the current phase; the details have the causes of those that have ended."""
    queued = Phase("Gated", "2nd of 3", waiting=True, hint="Wait.")
    waiting = Phase("Unschedulable", "no room", waiting=True, hint="Request less.")
    spans = [PhaseSpan(queued, 0.0, 3.0), PhaseSpan(waiting, 3.0, 2.0)]
    shown = details_html(Facts("podtask-1", "kind/n/podtask-1", spans, done))
    assert "2nd of 3" in shown
    assert ("no room" in shown) == done
    assert ("linear-gradient" in shown) != done
    assert ("margin-left:75.0%;width:25.0%" in shown) != done
    assert ("margin-left:60.0%;width:40.0%" in shown) == done
    assert "Wait" not in shown
    assert "Request less" not in shown


def test_quick_start_does_not_fill_the_width() -> None:
    """While a phase goes on, its bar begins where less than a second of phases before has ended."""
    spans = [PhaseSpan(Phase("Creating"), 0.0, 0.06), PhaseSpan(Phase("Running"), 0.06, 9.0)]
    shown = details_html(Facts("podtask-1", "kind/n/podtask-1", spans, done=False))
    assert "margin-left:0.0%;width:6.0%" in shown
    assert "margin-left:6.0%;width:94.0%" in shown


def test_values_are_listed_with_their_sizes() -> None:
    """U20: every value that was sent, brought back or left is in the details, small ones with their size, too."""
    outcome = Outcome("ok", returned=[("a", "int", 5), ("b", "Net", 3 << 20)], left_in_pod=[("c", "float")])
    assert value_rows({"x": ("list", 2048), "__file__": ("str", 9)}, outcome) == [
        ("sent", "x", "list", "2 KiB"),
        ("brought back", "b", "Net", "3 MiB"),
        ("brought back", "a", "int", "5 B"),
        ("not brought back", "c", "float", ""),
    ]


def test_pod_is_shown_without_values_of_variables() -> None:
    """The values of environment variables are hidden, because a saved notebook may be shared."""
    env = [{"name": "TOKEN", "value": "swordfish"}, {"name": "PODTASK_PORT", "value": "1"}]
    pod = {
        "metadata": {"name": "a", "managedFields": [1]},
        "status": {"phase": "Running"},
        "spec": {"containers": [{"name": "primary", "env": env}]},
    }
    text = pod_yaml(pod)
    assert "swordfish" not in text
    assert "TOKEN" in text
    assert "managedFields" not in text
    assert "status" not in text
    assert pod_yaml({}) == ""


@pytest.mark.feature("N15")
def test_usage_is_shown_with_requests_and_limits() -> None:
    """The used CPU and memory are listed with the requests and limits of the primary container."""
    resources = {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "8Gi"}}
    own = {"name": "own", "resources": resources}
    pod = {
        "metadata": {"annotations": {"kubectl.kubernetes.io/default-container": "own"}},
        "spec": {"containers": [{"name": "side"}, own]},
    }
    usage = {"seconds": 4.0, "cpu": 6.0, "process": 2.5 * 2**30, "container": 3 * 2**30}
    assert resource_usage(pod, usage) == [
        ("cpu", "6.0 s, 1.5 on average", "2", "–"),
        ("memory", "2.5 GiB at most, 3.0 GiB with its files", "1Gi", "8Gi"),
    ]
    (_, memory) = resource_usage(pod, {**usage, "container": usage["process"] + 2**20})
    assert memory == ("memory", "2.5 GiB at most", "1Gi", "8Gi")  # the same, as it is shown
    del own["resources"]
    assert resource_usage(pod, {"seconds": 0.0, "cpu": 0.0, "process": 2**20}) == [
        ("cpu", "0.0 s", "–", "–"),
        ("memory", "1 MiB at most", "–", "–"),
    ]
    assert resource_usage({}, usage) == resource_usage(pod, {}) == []


@pytest.mark.fault(90)
@pytest.mark.parametrize("annotations", [{}, {"kubectl.kubernetes.io/default-container": "gone"}])
def test_usage_of_a_pod_that_others_have_changed_is_shown(annotations: dict[str, str]) -> None:
    """Whoever may change pods may remove or change the annotation with the name of the primary container."""
    pod = {"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "other"}]}}
    assert resource_usage(pod, {"seconds": 0.0, "cpu": 1.0, "process": 2**20}) == [
        ("cpu", "1.0 s", "–", "–"),
        ("memory", "1 MiB at most", "–", "–"),
    ]

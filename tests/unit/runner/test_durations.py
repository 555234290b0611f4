"""All durations have the same notation."""

from __future__ import annotations

import pytest
from podtask.runner.durations import duration, exact_duration


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, "0 s"),
        (59.9, "59 s"),
        (99.9, "99 s"),
        (100, "2 min"),
        (3540, "59 min"),
        (3600, "1 h"),
        (11_400, "3 h 10 min"),
        (86_340, "23 h 59 min"),
        (172_770, "2 d"),
        (604_800, "7 d"),
    ],
)
def test_duration_has_at_most_two_units(seconds: float, expected: str) -> None:
    """U14: a clock that differs from the cluster's makes no negative age."""
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.04, "0.0 s"), (99.94, "99.9 s"), (100, "1 min 40 s"), (812, "13 min 32 s"), (7384.2, "2 h 3 min")],
)
def test_exact_duration(seconds: float, expected: str) -> None:
    """What has ended has tenths of seconds, or seconds, while they matter."""
    assert exact_duration(seconds) == expected

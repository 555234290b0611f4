"""Convert samples into rows: minimum, median and 95th percentile, next to those of the baseline."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """One comparison.

    Args:
        subject: What is measured.
        unit: Unit of the samples.
        ours: Samples of podtask.
        peer: Samples of the peer, taken alternately in the same run; may be empty.
        ratio: Ratio of ours to peer (or peer to ours for rates), or None without a peer.
        goal: Goal of the design, as text.
    """

    subject: str
    unit: str
    ours: list[float]
    peer: list[float]
    ratio: float | None
    goal: str


def compare(what: str, unit: str, ours: list[float], peer: list[float], goal: str) -> Measurement:
    """Return a row with the ratio of podtask's median to the peer's."""
    return Measurement(what, unit, ours, peer, statistics.median(ours) / statistics.median(peer), goal)


def text(rows: list[Measurement]) -> str:
    """Return the table."""
    head = ("", "unit", "ours: min  median  p95", "peer: min  median  p95", "ratio", "goal")
    lines = [head]
    for row in rows:
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        lines.append((row.subject, row.unit, _three(row.ours), _three(row.peer), ratio, row.goal))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _three(samples: list[float]) -> str:
    if not samples:
        return "-"
    high = sorted(samples)[min(len(samples) - 1, int(0.95 * len(samples)))]
    return "  ".join(f"{each:8.3f}" for each in (min(samples), statistics.median(samples), high))

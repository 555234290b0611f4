"""The cell of each soak task and its expected result, both derived from the task's number."""

from __future__ import annotations

import hashlib
import random

SOURCE = """
import hashlib, random, time
draw = random.Random({number})
for line in range({lines}):
    print({number}, line)
    if line % 50 == 49:
        time.sleep(0.05)
value = draw.getrandbits({size} * 8).to_bytes({size}, "little")
digest = hashlib.sha256(value).hexdigest()
"""


def shape(number: int) -> tuple[int, int]:
    """Return the number of lines that a task prints, and the size of its value in bytes."""
    draw = random.Random(-number)  # not security-relevant
    return draw.choice((1, 10, 100, 1000)), draw.choice((10, 1000, 100_000, 1_000_000))


def source(number: int) -> str:
    """Return the source of the cell."""
    lines, size = shape(number)
    return SOURCE.format(number=number, lines=lines, size=size)


def wrong(number: int, text: str, values: dict[str, object]) -> str:
    """Return the difference from the expected result; empty if there is none."""
    lines, size = shape(number)
    expected = "".join(f"{number} {line}\n" for line in range(lines))
    if text != expected:
        return f"{text.count(chr(10))} lines instead of {lines}, or not these"
    value = random.Random(number).getrandbits(size * 8).to_bytes(size, "little")
    if values.get("value") != value or values.get("digest") != hashlib.sha256(value).hexdigest():
        return f"the value of {size} bytes is not what it was"
    return ""

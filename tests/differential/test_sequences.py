"""Random cells on both sides of a session do what they do in one kernel, or the conflict is one by the rule."""

from __future__ import annotations

import collections
import os
from random import Random

import pytest

from .sequences import Sequence

MANY = int(os.environ.get("PODTASK_FUZZ", "1"))
SEQUENCES, CELLS = 100, 20
# Of 1700 on, each group has a conflict. `make fuzz` tries other ones each time.
FIRST = 1700 if MANY == 1 else Random().randrange(10**9)
GROUPS = 4  # so that they run beside each other


@pytest.mark.parametrize("group", range(GROUPS))
def test_sequences(group: int) -> None:
    """Output, values and identities are those of one plain kernel; some sequences end with a conflict."""
    ends: collections.Counter[str] = collections.Counter()
    for seed in range(FIRST + group, FIRST + SEQUENCES * MANY, GROUPS):
        sequence = Sequence(seed)
        try:
            ends[sequence.run(CELLS)] += 1
        except Exception as error:
            cells = "\n".join(sequence.log)
            raise AssertionError(f"sequence {seed}: {error}\n{cells}") from error
    assert ends["end"] > ends["conflict"]
    assert ends["conflict"] or MANY > 1

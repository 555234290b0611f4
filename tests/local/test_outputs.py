"""Outputs that cannot be written to the disk are errors; the others come back."""

from __future__ import annotations

import pytest
from podtask.errors import TaskError

from tests.notebook import Shell


@pytest.mark.parametrize("big", ["b'x' * (4 << 20)", "Apart(bytearray(4 << 20))"])
def test_value_too_large_for_the_disk_is_omitted(shell: Shell, big: str) -> None:
    """The others come back; then the value that cannot be written is an error, in the pickle or out of band."""
    source = (
        "%%podtask --local -o small,big,last\n"
        "import pickle, resource\n"
        "class Apart:\n"
        "    def __init__(self, data): self.data = data\n"
        "    def __reduce_ex__(self, protocol): return Apart, (pickle.PickleBuffer(self.data),)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))\n"
        f"small, last = 1, Apart(bytearray(9))\nbig = {big}\n"
    )
    with pytest.raises(TaskError, match=r"^-o big \(\w+\) was not returned: OSError: .* File too large"):
        shell.run(source)
    assert shell["small"] == 1
    assert bytes(shell["last"].data) == bytes(9)
    assert "big" not in shell.ip.user_ns

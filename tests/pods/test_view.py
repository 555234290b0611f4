"""The display under a cell that runs in a pod, live and in a saved notebook."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.notebook import Kernel

pytestmark = pytest.mark.cluster
SIDE = """\
t = {"containers": [{"name": "side", "image": "python:3.11-slim", "command":
     ["python3", "-c", "import time; print('<' + 'up>', flush=True); time.sleep(600)"]}]}"""
WAIT = "import signal\ntry:\n    signal.pause()\nexcept KeyboardInterrupt:\n    print('enough')"


@pytest.mark.feature("N09", "N15")
def test_details_of_a_task(start_kernel: Callable[..., Kernel]) -> None:
    """One display shows the phases with their durations, the last lines of the sidecar, and the pod."""
    kernel = start_kernel()
    kernel.run(SIDE)
    kernel.start(f"%%podtask -t t --image python:3.11-slim\n{WAIT}")
    shown: list[tuple[str, str]] = []
    for message in kernel.messages(60):
        content = message["content"]
        html = content.get("data", {}).get("text/html", "")
        if "<details" in html:
            shown.append((content["transient"]["display_id"], html))
            if "&lt;up&gt;" in html and "&lt;up&gt;" not in "".join(each for _, each in shown[:-1]):
                kernel.interrupt()
    assert len({number for number, _ in shown}) == 1
    for text in ("&lt;up&gt;", "last lines of side", "kind: Pod", "Running"):
        assert text in shown[-1][1]
    assert shown[-1][1].count(">Running<") == 1


USES = """\
%%podtask -d --as uses --image python:3.11-slim --cpu 500m --memory 400Mi -o held
import time
held = bytearray(100 << 20)
held[:: 4096] = b"x" * len(held[:: 4096])
while time.process_time() < 0.3:
    pass"""


@pytest.mark.feature("N15")
def test_usage_of_a_task(start_kernel: Callable[..., Kernel]) -> None:
    """The details show the used and requested CPU and memory of a pod, and a bar for the transfer."""
    kernel = start_kernel()
    kernel.run(USES)
    kernel.run("uses.assign()")
    said = kernel.run(
        "print(uses.error, sorted(uses.usage), uses.usage['cpu'] >= 0.3, "
        "100 << 20 <= uses.usage['process'] <= 400 << 20, "
        "uses.usage['container'] >= 100 << 20)"
    ).stdout
    assert "None ['container', 'cpu', 'process', 'seconds'] True True True" in said
    said = kernel.run("print([text for text, *_ in uses.steps])").stdout
    assert said.index("Packing") < said.index("Creating") < said.index("Running") < said.index("Fetching")

"""Images that a registry refuses, delays or does not have; a real registry on loopback produces each case."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.notebook import Kernel
from tests.pods.waiting import failure_within_seconds, submit, submitted, wait_for_phase

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("pods", "own_node"),
]


@contextmanager
def registry(status: int, hold: threading.Event | None = None) -> Iterator[str]:
    """Yield the address of a registry on loopback that responds to every request with one status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if hold is not None:
                hold.wait()
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="registry"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 -- the server looks for this name

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        if hold is not None:
            hold.set()
        server.shutdown()
        server.server_close()


PULL_SECRET = {"imagePullSecrets": [{"name": "regcred"}], "containers": []}
PULLS: dict[str, tuple[int, dict[str, Any], list[str]]] = {
    "not found": (404, {"containers": []}, ["not found", "image's name, tag"]),
    "no right": (401, {"containers": []}, ["requires a login", "spec.imagePullSecrets"]),
    "secret missing": (401, PULL_SECRET, ["pull secret regcred does not exist", "spec.imagePullSecrets"]),
}


@pytest.fixture
def own_node(cluster: Any) -> None:
    """Skip the test if the node is not on this machine, because it could not pull from here."""
    assert cluster.node


@pytest.mark.server_versions
@pytest.mark.feature("S04", "A11")
@pytest.mark.parametrize(("status", "template", "said"), PULLS.values(), ids=PULLS)
@pytest.mark.fault(16)
def test_hopeless_image_fails_within_seconds(status: int, template: dict[str, Any], said: list[str]) -> None:
    """A permanent refusal by the registry is an error with its cause and the field to change."""
    with registry(status) as address:
        image = f"{address}/team/app:7"
        shown = failure_within_seconds(submit(template, image=image))
    assert shown.startswith("StartError")
    assert image in shown
    for part in said:
        assert part in shown
    assert len(shown.splitlines()) <= 3


@pytest.mark.feature("S04", "S03")
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.fault(16)
def test_registry_that_may_recover_is_waited_for(status: int) -> None:
    """A rate limit or a failing registry is reported; the task waits until --start-timeout."""
    text = "Rate limited" if status == 429 else "503"
    with (
        registry(status) as address,
        submitted({"containers": []}, image=f"{address}/team/app:7") as task,
    ):
        assert "--start-timeout" in wait_for_phase(task, text)


@pytest.mark.feature("S04")
def test_line_under_the_cell_counts_down(start_kernel: Callable[..., Kernel]) -> None:
    """The line counts the remaining seconds of a wait in the page; the wait then ends with an error."""
    kernel = start_kernel()
    with registry(429) as address:
        ran = kernel.run(f"%%podtask --image {address}/team/app:7 --start-timeout 9s\n1")
    shown = [str(each.get("text/html", "")) for each in ran.displays]
    counted = re.compile(r'gives up in <span data-s="([\d.]+)" data-d="-1">')
    left = [float(found[1]) for each in shown if (found := counted.search(each))]
    assert left
    assert 9 >= left[0] >= left[-1] > 0
    assert left == sorted(left, reverse=True)
    assert ran.error is not None
    assert "has not started in 9 s (--start-timeout): " in ran.error[1]


@pytest.mark.pod("P24")
@pytest.mark.feature("S03")
def test_slow_pull_is_shown() -> None:
    """The line names an image that is being pulled, its container and since when it is pulled."""
    with (
        registry(404, threading.Event()) as address,
        submitted({"containers": []}, image=f"{address}/team/app:7") as task,
    ):
        line = wait_for_phase(task, "Pulling")
        assert f"pulling image \"{address}/team/app:7\" for container 'primary' since " in line

"""``--notify`` of tasks in a scripted cluster: batch mode, and kernels that attach."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import podtask
import pytest
from podtask.lifecycle.updates import Update
from podtask.manifest.labels import CELL_ANNOTATION

from tests.webhook import SECRET, Webhook, serve_webhook

from .scripts import Script
from .test_enclosed import Queue, admit, submit_in_killed_kernel, wait_for_line
from .test_retrying_job import evict_first_pod
from .user import SECONDS, Play, submit

pytestmark = pytest.mark.feature("P14")


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    """Yield the webhook of the user's settings."""
    with serve_webhook() as server:
        monkeypatch.setenv("PODTASK_NOTIFY_URL", server.url())
        yield server


def test_batch_mode_does_not_write_the_address_to_the_pod(play: Play, webhook: Webhook) -> None:
    """In batch mode everyone who may get the pod can read the cell: the address is left out, and a line says so."""
    server = play(Script())
    task = submit(channel="batch", notify=True)
    assert task.result(SECONDS) == 42
    pod = next(pod for _, kind, pod in server.pods.history if kind == "ADDED")
    head, _, cells = base64.b64decode(pod["metadata"]["annotations"][CELL_ANNOTATION]).partition(b"\n")
    start, end, _ = json.loads(head)["cells"][0]["segments"][0]
    cell = zlib.decompress(cells[start:end])
    assert b"40 + 2" in cell
    assert SECRET.encode() not in cell
    updates = iter(task.updates.get_nowait, Update("done"))
    notes = [each.text for each in updates if each.kind == "note"]
    assert [text for text in notes if text.startswith("In batch mode the webhook of --notify is not called")]
    assert task.notification.startswith(f"{task.name} succeeded after ")


def test_each_pod_of_a_job_calls_the_webhook(play: Play, webhook: Webhook, tmp_path: Path) -> None:
    """Without a kernel, a pod of a Job that is lost announces that it was terminated, and the next one the end of the cell."""
    server = play(Queue())
    source = (
        f"import pathlib, signal\nseen = pathlib.Path({str(tmp_path / 'seen')!r})\n"
        "if not seen.exists():\n    seen.touch()\n    print('line 0', flush=True)\n    signal.pause()\nlen(data)"
    )
    name, _ = submit_in_killed_kernel(1000, source, notify=True, retries=1, name="night")
    admit(server)
    evict_first_pod(server, name)
    received = [webhook.received.get(timeout=SECONDS) for _ in range(2)]
    assert [(each["task"], each["status"]) for each in received] == [("night", "terminated"), ("night", "ok")]
    task = podtask.attach(name)
    assert task.result(SECONDS) == 1000
    task.delete()
    assert webhook.received.empty()


def test_kernel_that_attaches_notifies_too(
    play: Play, webhook: Webhook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A kernel that has attached before the end runs its command; one that comes afterwards does not."""
    os.mkfifo(tmp_path / "text")
    server = play(Queue())
    first, _ = submit_in_killed_kernel(1000, notify=True)
    task = podtask.attach(first)
    monkeypatch.setenv("PODTASK_NOTIFY_COMMAND", f"""sh -c 'printf %s "$0" > {tmp_path}/text'""")
    admit(server)
    assert task.result(SECONDS) == 1000
    assert (tmp_path / "text").read_text().startswith(f"{first} succeeded after ")
    second, _ = submit_in_killed_kernel(1000, notify=True)
    wait_for_line(server, second, b"podtask: ended (ok)")
    ended = podtask.attach(second)
    assert ended.result(SECONDS) == 1000
    assert ended.notification == ""
    assert {webhook.received.get(timeout=SECONDS)["task"] for _ in range(2)} == {first, second}

"""``--notify``: the runner calls the user's webhook, and the notebook runs a command, when a task has ended."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask.channel.channel import Channel
from podtask.channel.enclosure import enclose_in_secrets
from podtask.config import files
from podtask.errors import InputError
from podtask.lifecycle.enclose import enclose

from tests.local.listener import Listener
from tests.local.test_enclosure import IDENTITY, packed, pod_of, prepared, runner, write
from tests.notebook import Kernel, Shell
from tests.unit.cluster.test_certificates import Authority
from tests.webhook import SECRET, Webhook, serve_webhook

pytestmark = pytest.mark.feature("P14")
SECONDS = 30
CELL = "print('private output')\nvalue = 'private value'\nvalue"


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    """Yield the webhook of the user's settings."""
    with serve_webhook() as server:
        monkeypatch.setenv("PODTASK_NOTIFY_URL", server.url())
        yield server


def submit(source: str, **options: Any) -> podtask.Task:
    """Submit a cell with --notify to a process on this machine."""
    return podtask.submit(source, options=podtask.RunOptions.of(**{"local": True, "notify": True, **options}))


@pytest.mark.parametrize(
    ("source", "options", "status", "says"),
    [
        (CELL, {}, "ok", "night succeeded after"),
        ("1 / 0", {}, "error", "night failed after"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", {}, "crashed", "night crashed after"),
        ("import signal\nsignal.pause()", {"timeout": "1s"}, "timeout", "night timed out after"),
    ],
    ids=["ok", "error", "crashed", "timeout"],
)
def test_webhook_gets_name_status_and_duration(
    source: str, options: dict[str, Any], status: str, says: str, webhook: Webhook
) -> None:
    """The webhook is called once with the name, the status and the duration, and with nothing else."""
    task = submit(source, name="night", **options)
    task.exception(SECONDS)
    received = webhook.received.get(timeout=SECONDS)
    assert set(received) == {"text", "task", "status", "seconds"}
    assert (received["task"], received["status"]) == ("night", status)
    assert received["text"].startswith(says)
    assert received["seconds"] >= 0
    assert "private" not in json.dumps(received)


def test_cells_without_it_call_nothing(webhook: Webhook) -> None:
    """Without --notify, nothing is called, whatever the settings are."""
    assert submit("1 + 1", notify=False).result(SECONDS) == 2
    assert submit("2 + 2").result(SECONDS) == 4
    assert webhook.received.get(timeout=SECONDS)["status"] == "ok"
    assert webhook.received.empty()


def test_silent_webhook_does_not_hold_the_result_back(
    webhook: Webhook, queue_stderr: Callable[[], queue.Queue[str]]
) -> None:
    """The result is here while the webhook has not answered; one line says later that it did not answer."""
    webhook.may_answer.clear()
    printed = queue_stderr()
    task = submit(CELL, name="night")
    webhook.received.get(timeout=SECONDS)
    assert task.result(SECONDS) == "private value"
    assert not webhook.may_answer.is_set()
    line = printed.get(timeout=SECONDS)
    assert "night: the webhook of --notify has not accepted the notification: no answer within 4 s." in line


def test_refusal_is_one_line_without_the_address(
    webhook: Webhook, queue_stderr: Callable[[], queue.Queue[str]]
) -> None:
    """A webhook that refuses the notification is a line after the result, which does not show the address."""
    webhook.status = 404
    printed = queue_stderr()
    task = submit("1 + 1")
    assert task.result(SECONDS) == 2
    line = printed.get(timeout=SECONDS)
    assert "has not accepted the notification: it answered with HTTP status 404." in line
    assert SECRET not in line


def test_refusal_is_told_to_a_notebook_that_comes_later(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A runner whose notebook is gone calls the webhook; the next notebook and the log hear that it was refused."""
    webhook.status = 500
    cell = prepared(CELL, name="night", notify=True, detach=True)
    manifest, parts = enclose_in_secrets(pod_of(cell), packed(cell))
    assert SECRET not in repr(manifest.pod)
    notes: queue.Queue[str] = queue.Queue()
    listener = Listener()
    monkeypatch.setattr(listener, "on_runner_note", notes.put)

    async def scene() -> str:
        write(parts, tmp_path)
        async with runner(manifest, tmp_path) as backend:
            await asyncio.to_thread(webhook.received.get, timeout=SECONDS)
            channel = Channel(backend, IDENTITY.key, IDENTITY.secret, None, listener)
            await asyncio.wait_for(channel.run(), SECONDS)
            await asyncio.to_thread(lambda: notes.put(notes.get(timeout=SECONDS)))
            await backend.wait_until_ended()
            return await backend.logs(None)

    log = asyncio.run(scene())
    note = notes.get_nowait()
    assert (
        "night: the webhook of --notify has not accepted the notification: it answered with HTTP status 500."
        in note
    )
    assert notes.empty()
    assert f"podtask: {note}" in log
    assert SECRET not in note + log


def test_nobody_listens(
    monkeypatch: pytest.MonkeyPatch, queue_stderr: Callable[[], queue.Queue[str]]
) -> None:
    """A webhook that cannot be reached, as from a restricted network, is a line with the reason."""
    monkeypatch.setenv("PODTASK_NOTIFY_URL", f"http://127.0.0.1:1/{SECRET}")
    printed = queue_stderr()
    assert submit("1 + 1").result(SECONDS) == 2
    line = printed.get(timeout=SECONDS)
    assert "has not accepted the notification: Connection refused. Check notify_url in your settings" in line
    assert SECRET not in line


def test_certificate_is_not_trusted(
    webhook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    queue_stderr: Callable[[], queue.Queue[str]],
) -> None:
    """A webhook with a certificate that the container does not trust gets nothing, and a line says so."""
    tls = Authority(tmp_path / "ca").server("IP:127.0.0.1")
    webhook.socket = tls.wrap_socket(webhook.socket, server_side=True)
    monkeypatch.setenv("PODTASK_NOTIFY_URL", webhook.url().replace("http://", "https://"))
    printed = queue_stderr()
    assert submit("1 + 1").result(SECONDS) == 2
    line = printed.get(timeout=SECONDS)
    assert "has not accepted the notification: the container does not trust its certificate. Check" in line
    assert SECRET not in line
    assert webhook.received.empty()


def test_proxy_refuses(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch, queue_stderr: Callable[[], queue.Queue[str]]
) -> None:
    """The webhook is called through the proxy of the container; a proxy that does not connect to it is named."""
    monkeypatch.setenv("PODTASK_NOTIFY_URL", f"https://hooks.example/{SECRET}")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{webhook.server_address[1]}")
    printed = queue_stderr()
    assert submit("1 + 1").result(SECONDS) == 2
    line = printed.get(timeout=SECONDS)
    assert "has not accepted the notification: the proxy answered with HTTP status 403." in line
    assert SECRET not in line


def test_command_gets_the_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The notebook runs the command of the settings with the text as its last word."""
    os.mkfifo(tmp_path / "text")
    monkeypatch.setenv("PODTASK_NOTIFY_COMMAND", f"""sh -c 'printf %s "$0" > {tmp_path}/text'""")
    assert submit("1 + 1", name="night").result(SECONDS) == 2
    assert (tmp_path / "text").read_text().startswith("night succeeded after ")


@pytest.mark.parametrize(
    ("command", "says"),
    [("false hunter2", "exit code 1"), ("/none/hunter2", "No such file or directory")],
)
def test_command_that_fails_is_a_line(
    command: str, says: str, monkeypatch: pytest.MonkeyPatch, queue_stderr: Callable[[], queue.Queue[str]]
) -> None:
    """A command that fails is a line that does not show its words."""
    monkeypatch.setenv("PODTASK_NOTIFY_COMMAND", command)
    printed = queue_stderr()
    assert submit("1 + 1").result(SECONDS) == 2
    line = printed.get(timeout=SECONDS)
    assert line == f"podtask: notify_command of your settings has failed: {says}."


def test_status_line_asks_and_notifies(kernel: Kernel) -> None:
    """The first status line of a cell asks the browser for its permission, and the last one shows the notification."""
    ran = kernel.run("%%podtask --local --notify --name night\n1 + 1")
    lines = [shown["text/html"] for shown in ran.displays if "text/html" in shown]
    assert "Notification.requestPermission()" in lines[0]
    assert not [line for line in lines[1:] if "requestPermission" in line]
    assert 'new Notification(\'podtask\',{"body": "night succeeded after' in lines[-1]
    plain = kernel.run("%%podtask --local\n1 + 1")
    assert not [shown for shown in plain.displays if "Notification" in shown.get("text/html", "")]


def test_settings_are_shown_nowhere(shell: Shell, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """%podtask config, a dry run, handles and errors name the settings and do not show their values."""
    monkeypatch.setenv("PODTASK_NOTIFY_COMMAND", f"send {SECRET}")
    shown, _ = shell.output("%podtask config")
    for name in ("notify_url", "notify_command"):
        assert re.search(rf"{name} +\(not shown\) +PODTASK_{name.upper()}", shown)
    preview = shell.run("%%podtask --notify --dry-run --local\n1")
    shown += repr(preview) + preview._repr_html_() + preview.to_python()
    cell = prepared("1", notify=True)
    shown += repr(cell) + repr(cell.options)
    monkeypatch.setenv("PODTASK_NOTIFY_URL", f"hooks.example/{SECRET}")
    with pytest.raises(
        InputError, match="PODTASK_NOTIFY_URL: notify_url is not the address of a webhook"
    ) as failed:
        prepared("1", notify=True)
    assert SECRET not in shown + str(failed.value)


def test_settings_come_from_the_user_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, webhook: Webhook
) -> None:
    """A project can set neither the webhook nor the command; the user's file can."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    (tmp_path / "pyproject.toml").write_text(
        f"[tool.podtask]\nnotify-url = 'https://{SECRET}'\nnotify = true\n"
    )
    files.clear_ignored()
    assert podtask.submit("1 + 1").result(SECONDS) == 2
    assert webhook.received.get(timeout=SECONDS)["status"] == "ok"
    (line,) = files.ignored_files()
    assert line.startswith(
        f"notify-url in {tmp_path / 'pyproject.toml'} is ignored: a project cannot set it."
    )
    assert SECRET not in line
    monkeypatch.delenv("PODTASK_NOTIFY_URL")
    files.user_file().parent.mkdir(parents=True, exist_ok=True)
    files.user_file().write_text(f"notify_url = '{webhook.url()}'\n")
    assert podtask.submit("1 + 1").result(SECONDS) == 2
    assert webhook.received.get(timeout=SECONDS)["status"] == "ok"


def test_address_needs_secrets(webhook: Webhook) -> None:
    """Where Secrets cannot be created, the address is not written to an annotation: the notebook must stay."""
    cell = prepared("1", notify=True, detach=True)
    enclosed = enclose(cell, pod_of(cell), "Secrets cannot be created here")
    assert "the address of the webhook (--notify) may be kept nowhere else" in enclosed.note
    assert enclosed.parts == ()
    assert enclosed.manifest == pod_of(cell)

"""Credentials from a login program that hangs or fails, and tokens that expire."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import podtask
import pytest
import yaml

from tests.pods.waiting import wait_for_input_request

from .scripts_access import NeedsToken
from .user import SECONDS, Play, submit

HANGS = 'echo $$ > "{folder}/pid"\nexec sleep 600\n'
FAILS = "echo your session has ended, run sso login >&2\nexit 1\n"
GIVES = 'cat "{folder}/credential"\n'
OLD = "2020-01-01T00:00:00Z"


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Set a login program as the user of a kubeconfig for any server."""
    folder = tmp_path / "login"
    folder.mkdir()
    program, config = folder / "program", folder / "config"

    def write(body: str, server: Path | None = None, token: str = "") -> None:
        given = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": {"token": token, "expirationTimestamp": OLD},
        }
        (folder / "credential").write_text(json.dumps(given))
        program.write_text(f"#!/bin/sh\n{body.format(folder=folder)}")
        program.chmod(0o755)
        known: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "scripted",
            "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
            "contexts": [{"name": "scripted", "context": {"cluster": "c", "user": "u", "namespace": "n"}}],
        }
        if server is not None:
            known = yaml.safe_load(server.read_text())
        user = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(program),
            "interactiveMode": "Never",
        }
        known["users"] = [{"name": "u", "user": {"exec": user}}]
        config.write_text(yaml.safe_dump(known))
        monkeypatch.setenv("KUBECONFIG", str(config))

    monkeypatch.delenv("PODTASK_BACKEND", raising=False)
    yield write
    if (folder / "pid").exists():
        os.kill(int((folder / "pid").read_text()), signal.SIGKILL)


def test_login_that_hangs_delays_neither_the_deadline_nor_the_exit(
    login: Callable[..., None],
) -> None:
    """--start-timeout includes a login program that hangs, and the interpreter still exits."""
    login(HANGS)
    cell = (
        "import podtask\ntask = podtask.submit('1', options=podtask.RunOptions(start_timeout=1))\n"
        "print(task.exception(30))\n"
    )
    command = [sys.executable, "-c", cell]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "has not started in 1 s (--start-timeout)" in ran.stdout, ran.stderr


def test_error_quotes_a_login_program_that_fails(
    login: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    """The error contains the output of the login program, and nothing else does."""
    login(FAILS)
    with pytest.raises(podtask.ClusterError, match="your session has ended, run sso login") as raised:
        submit().result(SECONDS)
    assert "log in again" in raised.value.hint
    assert capfd.readouterr().err == ""


TOKEN = "hunter2" * 8
CREDENTIAL = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
ODD_OUTPUT: dict[str, tuple[bytes, bytes, int]] = {  # what a login program writes, and its exit code
    "not JSON": (f"token: {TOKEN}".encode(), b"", 0),
    "another JSON": (b"[1]", b"", 0),
    "a number": (b"7", b"", 0),
    "no UTF-8": (b"\xff\xfe" + TOKEN.encode(), b"", 0),
    "token with line breaks": (
        json.dumps({**CREDENTIAL, "status": {"token": f"{TOKEN}\r\nHost: x"}}).encode(),
        b"",
        0,
    ),
    "no token": (json.dumps({**CREDENTIAL, "status": {}}).encode(), b"", 0),
    "escapes": (b"", b"\x1b]0;owned\x07\x1b[2J refused", 1),
    "token in stderr": (b"", f"token {TOKEN} and password={TOKEN} refused".encode(), 1),
    "huge": (b"x" * (8 << 20), b"a-" * (4 << 20), 1),
}


@pytest.mark.fault(90)
@pytest.mark.parametrize("case", ODD_OUTPUT)
def test_odd_output_of_a_login_program_is_one_safe_error(
    case: str, login: Callable[..., None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever it writes, the error is short and has neither a token nor characters that control a terminal."""
    out, err, code = ODD_OUTPUT[case]
    (tmp_path / "out").write_bytes(out)
    (tmp_path / "err").write_bytes(err)
    login(f'cat "{tmp_path}/out"\ncat "{tmp_path}/err" >&2\nexit {code}\n')
    with pytest.raises(podtask.ClusterError) as raised:
        submit().result(SECONDS)
    shown = str(raised.value)
    assert "scripted" in shown
    assert "hunter2" not in shown
    assert len(shown) < 800
    assert shown.replace("\n", "").isprintable()
    assert capfd.readouterr().err == ""


@pytest.mark.fault(10)
def test_login_that_fails_later_ends_nothing(play: Play, login: Callable[..., None]) -> None:
    """If a login program fails later, a message quotes it; the task continues once the program works."""
    server = play(script := NeedsToken("first"))
    login(GIVES, server.kubeconfig, "first")
    task = submit("print('up')\ngiven = input()\ngiven")
    wait_for_input_request(task)
    login(FAILS, server.kubeconfig)
    script.token = "second"
    server.loop.call_soon_threadsafe(server.forwards.cut)
    while (update := task.updates.get(timeout=SECONDS)).kind != "note":
        assert update.kind != "done", task.error
    assert "run sso login): log in again" in update.text
    login(GIVES, server.kubeconfig, "second")
    task.reply({"value": "told"})
    assert task.result(SECONDS) == "told"
    assert task.logs() == "up\n"

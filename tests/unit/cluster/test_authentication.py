"""Credentials of a session: a hook that fails, a program that hangs, certificates that are rotated."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from podtask.cluster import authentication
from podtask.cluster.authentication import Login
from podtask.cluster.client import Api
from podtask.cluster.credentials import Access, load_access
from podtask.cluster.login_program import collect_log, run_in_thread
from podtask.cluster.refusals import ApiError
from podtask.errors import ClusterError

from tests.cluster.certificates import kubeconfig, make_all
from tests.web_server import serving

JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJ1c2VyIn0.c2lnbmF0dXJl"


def api_of(headers: Callable[[], dict[str, str]]) -> Api:
    """Return a session that gets its headers from a hook."""
    return Api(Login(Access("http://127.0.0.1:1", "far", "n", None, None, None, headers, slow=True)))


def empty_file() -> dict[str, str]:
    raise ValueError(f"Token file\nexists but empty, {JWT} was there.")


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (lambda api: api.request("GET", "/"), ClusterError),
        (lambda api: api.forward("n", "p", 1), ApiError),
        (lambda api: api.exec("n", "p", "c", ["x"]), ApiError),
    ],
)
def test_hook_that_fails_is_an_error_of_the_cluster(
    ask: Callable[[Api], Awaitable[object]], kind: type[Exception]
) -> None:
    """The error quotes the hook without possible tokens; for a stream it counts as 401."""

    async def play() -> None:
        api = api_of(empty_file)
        with pytest.raises(kind) as raised:
            await ask(api)
        assert "Cannot get the credentials of context 'far': Token file exists but empty, ***" in str(
            raised.value
        )
        assert JWT not in str(raised.value)
        assert getattr(raised.value, "code", 401) == 401
        await api.close()

    asyncio.run(play())


def test_log_of_the_library_is_read_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Login failures are read from the library's log, and the notebook's logging is unchanged."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    with collect_log() as heard:
        logging.error("exec: process returned 1")  # noqa: LOG015  # as the library does
        assert root.filter(root.makeRecord("kubernetes", 40, "", 0, "other", (), None))
    assert heard == ["exec: process returned 1"]
    assert root.handlers == []
    assert root.filters == []


def test_cancellation_during_the_response() -> None:
    """If a response arrives during the cancellation, the request is still cancelled."""
    released = threading.Event()

    async def play() -> None:
        asking = asyncio.ensure_future(run_in_thread("key", lambda: released.wait(30), 30))
        await asyncio.sleep(0)
        (thread,) = [each for each in threading.enumerate() if each.name == "podtask-login"]
        released.set()
        thread.join(30)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(play())


def test_hook_that_hangs_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook that hangs is reported; other requests wait for the same call without using the pool."""
    monkeypatch.setattr(authentication, "LOGIN_SECONDS", 0.05)
    released, calls = threading.Event(), []

    def hangs() -> dict[str, str]:
        calls.append(threading.current_thread())
        released.wait(30)
        return {}

    async def play() -> None:
        api = api_of(hangs)
        asked = [api.request("GET", "/") for _ in range(20)]
        for error in await asyncio.gather(*asked, return_exceptions=True):
            assert "is still running" in str(error)
        assert [thread.daemon for thread in calls] == [True]
        await api.close()

    try:
        asyncio.run(play())
    finally:
        released.set()


def test_certificate_that_is_rotated_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a 401, new connections of both kinds use the new client certificate of the kubeconfig."""
    files = tmp_path / "certificates"
    make_all(files, node="n", address="127.0.0.1", service_address="127.0.0.1")
    config = tmp_path / "config"
    monkeypatch.setenv("KUBECONFIG", str(config))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files / "ca.crt")
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT  # the certificates have no Authority Key Identifier
    tls.load_cert_chain(files / "api-server.crt", files / "api-server.key")
    good = ["podtask-admin"]
    seen = []

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        subject = request.transport.get_extra_info("peercert")["subject"]
        seen.append(dict(part[0] for part in subject)["commonName"])
        if seen[-1] not in good:
            return web.json_response({"message": "Unauthorized"}, status=401)
        if "portforward" in request.path:
            socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
            await socket.prepare(request)
            return socket
        return web.json_response({})

    async def play() -> None:
        async with serving(answer, tls) as port:
            server = f"https://127.0.0.1:{port}"
            config.write_text(kubeconfig(files, "admin", server))
            api = Api(await Login.for_context(None))
            await api.request("GET", "/")
            config.write_text(kubeconfig(files, "scheduler", server))
            good[:] = ["system:kube-scheduler"]
            await api.request("GET", "/")
            await (await api.forward("n", "p", 1)).close()
            await api.close()

    asyncio.run(play())
    assert seen == ["podtask-admin"] * 2 + ["system:kube-scheduler"] * 2


@pytest.mark.fault(93)
def test_client_key_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client key that is embedded in a kubeconfig is in no file once it is loaded, however often it is."""
    files, temporary = tmp_path / "certificates", tmp_path / "tmp"
    make_all(files, node="n", address="127.0.0.1", service_address="127.0.0.1")
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    for name in ("admin", "admin", "scheduler"):
        (tmp_path / "config").write_text(kubeconfig(files, name, "https://127.0.0.1:1"))
        access = load_access(None)
        assert access.certificate
        access.headers()
        assert list(temporary.iterdir()) == []
    broken = kubeconfig(files, "admin", "https://127.0.0.1:1").replace("LS0tLS1CRUdJTi", "LS0tLS1CRUdJTj")
    (tmp_path / "config").write_text(broken)
    with pytest.raises(Exception):  # noqa: B017, PT011 -- whatever the library says
        load_access(None)
    assert list(temporary.iterdir()) == []


@pytest.mark.fault(93)
def test_client_key_of_a_login_program_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that a login program returns is in no file either."""
    files, temporary = tmp_path / "certificates", tmp_path / "tmp"
    make_all(files, node="n", address="127.0.0.1", service_address="127.0.0.1")
    temporary.mkdir()
    status = {
        "clientCertificateData": (files / "admin.crt").read_text(),
        "clientKeyData": (files / "admin.key").read_text(),
    }
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    (tmp_path / "credential").write_text(json.dumps(credential))
    config = json.loads(kubeconfig(files, "admin", "https://127.0.0.1:1"))
    program = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "cat",
        "args": [str(tmp_path / "credential")],
        "interactiveMode": "Never",
    }
    config["users"][0]["user"] = {"exec": program}
    (tmp_path / "config").write_text(json.dumps(config))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    access = load_access(None)
    assert access.certificate
    assert list(temporary.iterdir()) == []


def test_login_that_hung_is_started_again() -> None:
    """A request after the time limit starts a new call and does not join the one that hangs."""
    released = threading.Event()

    async def play() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await run_in_thread("login", released.wait, 0.01)
        assert await run_in_thread("login", lambda: "answered", 60) == "answered"

    try:
        asyncio.run(play())
    finally:
        released.set()

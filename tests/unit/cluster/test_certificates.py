"""Certificates of API servers: what is accepted, and the sentence for each that is not."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from podtask.cluster.authentication import Login
from podtask.cluster.client import Api
from podtask.errors import ClusterError

from tests.cluster.certificates import render_kubeconfig
from tests.web_server import serving

NO_KEY_ID = "authorityKeyIdentifier=none\nsubjectKeyIdentifier=none\n"
CONFIG = """
[req]
distinguished_name = name
[name]
[ca]
default_ca = here
[here]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
[any]
commonName = supplied
"""


class Authority:
    """A certificate authority without key identifiers, as EKS has them.

    Args:
        folder: Folder of its files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "openssl.cnf").write_text(CONFIG)
        (folder / "index").touch()
        (folder / "serial").write_text("01\n")
        (folder / "ca.ext").write_text(f"basicConstraints=critical,CA:TRUE\n{NO_KEY_ID}")
        self.certificate = folder / "ca.crt"
        self._request("ca")
        self._openssl(
            "x509", "-req", "-in", "ca.csr", "-signkey", "ca.key", "-out", "ca.crt", "-extfile", "ca.ext"
        )

    def server(
        self, names: str, start: str = "20200101000000Z", end: str = "20991231000000Z"
    ) -> ssl.SSLContext:
        """Return the TLS settings of a server with a certificate for these names."""
        self._request("server")
        (self._folder / "server.ext").write_text(f"subjectAltName={names}\n{NO_KEY_ID}")
        dates = ("-startdate", start, "-enddate", end)
        signed = ("-cert", "ca.crt", "-keyfile", "ca.key", "-in", "server.csr", "-out", "server.crt")
        self._openssl("ca", "-batch", "-config", "openssl.cnf", "-extfile", "server.ext", *dates, *signed)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self._folder / "server.crt", self._folder / "server.key")
        return tls

    def _request(self, name: str) -> None:
        key = (
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            f"{name}.key",
        )
        self._openssl("req", "-config", "openssl.cnf", *key, "-subj", f"/CN={name}", "-out", f"{name}.csr")

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self._folder, check=True, capture_output=True)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Return an authority; TLS settings are as strict as those of Python 3.13."""
    make: Callable[..., ssl.SSLContext] = ssl.create_default_context

    def make_strict(*args: Any, **more: Any) -> ssl.SSLContext:
        tls = make(*args, **more)
        tls.verify_flags |= ssl.VERIFY_X509_STRICT
        return tls

    monkeypatch.setattr(ssl, "create_default_context", make_strict)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    return Authority(tmp_path / "ca")


def write_kubeconfig(server: str, certificate: Path) -> None:
    cluster = {"server": server, "certificate-authority": str(certificate)}
    Path(os.environ["KUBECONFIG"]).write_text(render_kubeconfig(cluster, {"token": "t"}))


def request(tls: ssl.SSLContext, certificate: Path, host: str = "127.0.0.1") -> None:
    """Send a request and open a stream to a server with these TLS settings."""

    async def answer(asked: web.Request) -> web.StreamResponse:
        if "portforward" not in asked.path:
            return web.json_response({})
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(asked)
        return socket

    async def play() -> None:
        async with serving(answer, tls) as port:
            write_kubeconfig(f"https://{host}:{port}", certificate)
            api = Api(await Login.for_context(None))
            try:
                await api.request("GET", "/")
                await (await api.forward("n", "p", 1)).close()
            finally:
                await api.close()

    asyncio.run(play())


@pytest.mark.fault(107)
def test_certificates_without_key_identifiers_are_accepted(authority: Authority) -> None:
    """Requests and streams reach a server whose certificate and CA have no key identifiers."""
    request(authority.server("IP:127.0.0.1"), authority.certificate)


@pytest.mark.fault(107)
@pytest.mark.parametrize(
    ("certificate", "host", "message"),
    [
        (
            {"names": "IP:127.0.0.1", "end": "20200102000000Z"},
            "127.0.0.1",
            r", has expired\.\nAsk the cluster's",
        ),
        (
            {"names": "IP:127.0.0.1", "start": "20980101000000Z"},
            "127.0.0.1",
            r", is not valid yet\.\nCheck the clock",
        ),
        (
            {"names": "IP:127.0.0.2"},
            "127.0.0.1",
            r", is for another host: .*'127\.0\.0\.1'\.\n.*tls-server-name",
        ),
        ({"names": "DNS:inside.example"}, "localhost", r", is for another host: .*'localhost'\.\n"),
    ],
    ids=["expired", "early", "address", "name"],
)
def test_certificate_that_is_rejected(
    authority: Authority, certificate: dict[str, str], host: str, message: str
) -> None:
    """Dates and host are checked, and the error says which of them is wrong."""
    with pytest.raises(ClusterError, match=rf"^The certificate of {host}:\d+, the API server .*{message}"):
        request(authority.server(**certificate), authority.certificate, host)


@pytest.mark.fault(107)
def test_certificate_of_an_unknown_authority(authority: Authority, tmp_path: Path) -> None:
    """The chain is checked; the error names the kubeconfig, which has another CA."""
    other = Authority(tmp_path / "other")
    with pytest.raises(ClusterError, match="signed by an authority that the kubeconfig does not trust"):
        request(other.server("IP:127.0.0.1"), authority.certificate)

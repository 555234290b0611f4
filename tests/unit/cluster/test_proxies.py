"""Proxies: which servers NO_PROXY excludes, and which schemes are supported."""

from __future__ import annotations

from pathlib import Path

import pytest
from podtask.cluster.credentials import load_access
from podtask.cluster.proxies import environment_proxy
from podtask.errors import ClusterError

from tests.cluster.certificates import render_kubeconfig

PROXY = "http://proxy.example:3128"
NAMES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY")


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the proxies of the environment, and set a kubeconfig."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))


@pytest.mark.fault(106)
@pytest.mark.parametrize(
    ("no_proxy", "host", "bypassed"),
    [
        ("10.0.0.0/8", "https://10.1.2.3:6443", True),
        ("192.168.0.0/16, 10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.0.0.0/8", "https://ten.example", False),
        ("fd00::/8", "https://[fd12::1]:6443", True),
        ("10.0.0.0/99,10.1.2.3", "https://10.1.2.3", True),
        ("10.1.2.3:6443", "https://10.1.2.3:6443", True),
        ("10.1.2.3:443", "https://10.1.2.3", True),
        ("10.1.2.3:6443", "https://10.1.2.3", False),
        ("[fd12::1]:6443", "https://[fd12::1]:6443", True),
        ("fd12::1", "https://[fd12::1]:6443", True),
        ("fd12:0::1", "https://[fd12::1]", True),
        (".corp.example", "https://api.corp.example:6443", True),
        (".corp.example", "https://corp.example", False),
        ("*.corp.example", "https://api.corp.example", True),
        ("corp.example", "https://corp.example", True),
        ("corp.example", "https://api.corp.example", True),
        ("corp.example", "https://mycorp.example", False),
        ("Corp.Example ", "https://api.corp.example", True),
        ("corp.example:6443", "https://api.corp.example:6443", True),
        (".corp.example:443", "https://api.corp.example", True),
        ("corp.example:443", "https://api.corp.example:6443", False),
        ("*", "https://api.corp.example", True),
        (" ,,", "https://api.corp.example", False),
        ("", "https://127.0.0.1:6443", True),
        ("", "https://localhost:6443", True),
        ("", "https://[::1]:6443", True),
    ],
)
def test_no_proxy(monkeypatch: pytest.MonkeyPatch, no_proxy: str, host: str, bypassed: bool) -> None:
    """NO_PROXY has CIDRs, addresses and domains, with a port or without, as kubectl reads it."""
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert environment_proxy(host) == (None if bypassed else PROXY)


@pytest.mark.fault(106)
def test_proxy_without_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy without a scheme is an HTTP proxy; each scheme of a server has its own."""
    monkeypatch.setenv("https_proxy", "proxy.example:3128")
    assert environment_proxy("https://api.example") == PROXY
    assert environment_proxy("http://api.example") is None


def write_kubeconfig(folder: Path, server: str, **cluster: str) -> None:
    (folder / "config").write_text(render_kubeconfig({"server": server, **cluster}, {"token": "t"}))


@pytest.mark.fault(106)
@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4", "ftp"])
@pytest.mark.parametrize("in_kubeconfig", [True, False])
def test_scheme_that_is_not_supported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, in_kubeconfig: bool
) -> None:
    """Other proxies are refused by name, without their password."""
    proxy = f"{scheme}://me:hidden@proxy.example:1080"
    write_kubeconfig(tmp_path, "https://api.example", **({"proxy-url": proxy} if in_kubeconfig else {}))
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(
        ClusterError, match=rf"^The proxy {scheme}://proxy.example:1080 of context .* cannot be used"
    ):
        load_access(None)

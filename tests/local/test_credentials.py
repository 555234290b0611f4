"""Each supported client reads credentials and the server address from kubeconfig files in the same way."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from podtask.cluster.credentials import IN_CLUSTER_CONTEXT, load_access

from tests.local.clients import EACH_VERSION, run_with

# Each context: its cluster, its user, and the expected result.
HOST = "https://cluster.example:6443"
CLUSTERS: dict[str, dict[str, Any]] = {
    "plain": {"server": f"{HOST}/"},
    "proxied": {"server": HOST, "proxy-url": "http://first.example:3128"},
    "named": {"server": HOST, "tls-server-name": "inside.example"},
    "unchecked": {"server": HOST, "insecure-skip-tls-verify": True},
    "http": {"server": "http://cluster.example:8080"},
}
CONTEXTS = {
    "token": ("plain", "token"),
    "file": ("plain", "file"),
    "plugin": ("plain", "plugin"),
    "proxied": ("proxied", "token"),
    "named": ("named", "token"),
    "unchecked": ("unchecked", "token"),
    "http": ("http", "token"),
}
PLUGIN = """
import json
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
                  "status": {"token": "made"}}))
"""
LOAD = """
import json
from podtask.cluster.credentials import load_access
found = []
for name in NAMES:
    access = load_access(name)
    tls = access.tls and [access.tls.verify_mode.name, access.tls.check_hostname]
    found.append([access.context, access.host, access.namespace, access.headers(), access.server_name,
                  tls, access.proxy])
print(json.dumps(found))
"""
CHECKED = ["CERT_REQUIRED", True]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Return two kubeconfig files in KUBECONFIG; the second defines all clusters again, without a proxy."""
    (tmp_path / "token.txt").write_text("filed")
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", PLUGIN],
        "interactiveMode": "Never",
    }
    users = {
        "token": {"token": "plain"},
        "file": {"tokenFile": "token.txt"},  # next to the kubeconfig
        "plugin": {"exec": plugin},
    }
    contexts = [
        {"name": name, "context": {"cluster": cluster, "user": user, "namespace": f"of-{name}"}}
        for name, (cluster, user) in CONTEXTS.items()
    ]
    first = {"clusters": _named("cluster", CLUSTERS), "contexts": contexts}
    others = {name: {"server": HOST, "proxy-url": "http://second.example:1"} for name in CLUSTERS}
    second = {"clusters": _named("cluster", others), "users": _named("user", users)}
    for name, content in {"first": first, "second": second}.items():
        whole = {"apiVersion": "v1", "kind": "Config", "current-context": "token", **content}
        (tmp_path / name).write_text(yaml.safe_dump(whole))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'first'}:{tmp_path / 'second'}")
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("version", EACH_VERSION)
def test_each_client_reads_the_same(version: str) -> None:
    """Every client reads tokens, plugins, proxies and TLS settings the same way; the first file wins."""
    assert _loaded(version, list(CONTEXTS)) == [
        _access("token"),
        _access("file", token="filed"),
        _access("plugin", token="made"),
        _access("proxied", proxy="http://first.example:3128"),
        _access("named", server_name="inside.example"),
        _access("unchecked", tls=["CERT_NONE", False]),
        _access("http", host="http://cluster.example:8080", tls=None),
    ]


@pytest.mark.feature("A39")
@pytest.mark.usefixtures("files")
def test_kubectl_lines_name_the_context() -> None:
    """The printed kubectl commands name the context of the task and are quoted for a shell."""
    access = load_access("token")
    assert access.kubectl("team", "get", "pod", "x") == "kubectl --context token -n team get pod x"
    odd = dataclasses.replace(access, context="a b")
    assert odd.kubectl("team", "version") == "kubectl --context 'a b' -n team version"
    inside = dataclasses.replace(access, context=IN_CLUSTER_CONTEXT)
    assert inside.kubectl("team", "version") == "kubectl -n team version"


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("version", EACH_VERSION)
def test_proxy_of_the_environment(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy of the kubeconfig precedes those of the environment, which depend on the URL scheme."""
    monkeypatch.setenv("HTTPS_PROXY", "http://secure.example:1")
    monkeypatch.setenv("HTTP_PROXY", "http://open.example:1")
    names = ["token", "proxied", "http"]
    expected = ["http://secure.example:1", "http://first.example:3128", "http://open.example:1"]
    assert [each[-1] for each in _loaded(version, names)] == expected
    monkeypatch.setenv("NO_PROXY", ".example")
    assert [each[-1] for each in _loaded(version, names)] == [None, expected[1], None]


def _named(kind: str, entries: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, kind: entry} for name, entry in entries.items()]


def _loaded(version: str, names: list[str]) -> list[list[Any]]:
    found: list[list[Any]] = json.loads(run_with(version, f"NAMES = {names}\n{LOAD}"))
    return found


def _access(
    context: str,
    *,
    token: str = "plain",
    proxy: str | None = None,
    server_name: str | None = None,
    host: str = HOST,
    tls: list[Any] | None = CHECKED,
) -> list[Any]:
    headers = {"authorization": f"Bearer {token}"}
    return [context, host, f"of-{context}", headers, server_name, tls, proxy]

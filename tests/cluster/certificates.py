"""The certificate authority of the node, its certificates, and kubeconfig files made from them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.cluster.errors import run

_LOOPBACK = "IP:127.0.0.1,DNS:localhost"
# Certificates of the parts that are only clients of the API server; the group has all rights.
_CLIENTS = {
    "admin": "/O=system:masters/CN=podtask-admin",
    "controllers": "/O=system:masters/CN=system:kube-controller-manager",
    "scheduler": "/O=system:masters/CN=system:kube-scheduler",
    "api-client": "/O=system:masters/CN=podtask-api-server",
}


def make_all(directory: Path, *, node: str, address: str, service_address: str) -> None:
    """Write every key and certificate of the cluster, valid for a year.

    Args:
        directory: Where the files `NAME.key` and `NAME.crt` go.
        node: The node's name.
        address: The node's address.
        service_address: The API server's address inside of the cluster.
    """
    _make_authority(directory)
    here = _LOOPBACK
    inside = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
    alternatives = {
        "api-server": f"{here},IP:{address},IP:{service_address},{inside}",
        "kubelet-server": f"IP:{address},DNS:{node}",
        "etcd": here,
    }
    subjects = {
        **_CLIENTS,
        "kubelet": f"/O=system:nodes/CN=system:node:{node}",
        **{name: f"/CN=podtask-{name}" for name in (*alternatives, "aggregator", "service-accounts")},
    }
    with ThreadPoolExecutor(4) as pool:
        pending = [
            pool.submit(_make, directory, name, subject, _extension(alternatives.get(name)))
            for name, subject in subjects.items()
        ]
        for made in pending:
            made.result()


def make_server(directory: Path, name: str) -> None:
    """Write the key and certificate of a server on loopback, and of an authority of its own.

    Args:
        directory: Where the files go.
        name: Name of the server's files.
    """
    _make_authority(directory)
    _make(directory, name, f"/CN=podtask-{name}", _extension(_LOOPBACK))


def kubeconfig(directory: Path, name: str, server: str) -> str:
    """Return a kubeconfig for one of the certificates, with all files embedded (JSON is valid YAML)."""

    def embedded(file: str) -> str:
        return base64.b64encode((directory / file).read_bytes()).decode()

    cluster = {"server": server, "certificate-authority-data": embedded("ca.crt")}
    user = {
        "client-certificate-data": embedded(f"{name}.crt"),
        "client-key-data": embedded(f"{name}.key"),
    }
    return render_kubeconfig(cluster, user)


def render_kubeconfig(
    cluster: Mapping[str, object], user: Mapping[str, object], namespace: str = "default"
) -> str:
    """Return a kubeconfig with one cluster, one user and one context."""
    name = "podtask-tests"
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [
                {
                    "name": name,
                    "context": {"cluster": name, "user": name, "namespace": namespace},
                }
            ],
            "current-context": name,
        },
        indent=1,
    )


def _make_authority(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    (directory / "openssl.cnf").write_text("[req]\ndistinguished_name = name\n[name]\n")
    _make(directory, "ca", "/CN=podtask-tests", "basicConstraints=critical,CA:TRUE")


def _extension(alternatives: str | None) -> str | None:
    return None if alternatives is None else f"subjectAltName={alternatives}"


def _make(directory: Path, name: str, subject: str, extension: str | None) -> None:
    command: list[str | Path] = ["openssl", "req", "-x509", "-sha256", "-days", "365"]
    command += ["-config", directory / "openssl.cnf", "-nodes", "-newkey", "ec"]
    command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", subject]
    command += ["-keyout", directory / f"{name}.key", "-out", directory / f"{name}.crt"]
    if name != "ca":
        command += ["-CA", directory / "ca.crt", "-CAkey", directory / "ca.key"]
    if extension is not None:
        command += ["-addext", extension]
    run(command)

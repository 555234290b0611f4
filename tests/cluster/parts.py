"""The command lines of the parts of the node; this module starts and writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.cluster import program
from tests.cluster.layout import NODE, NODE_ADDRESS, SERVICE_SUBNET, Layout

# In the order of starting. They are stopped in reverse order, so that no part restarts another one.
NAMES = ("containerd", "etcd", "api-server", "controllers", "scheduler", "kubelet")


@dataclass(frozen=True)
class Ports:
    """Loopback ports of one run; the kubelet uses its default port on the address of the node."""

    api: int
    etcd: int
    etcd_peer: int


def command(part: str, layout: Layout, ports: Ports) -> list[str | Path]:
    """Return the command line of a part."""
    commands = {
        "containerd": _containerd,
        "etcd": _etcd,
        "api-server": _api_server,
        "controllers": _controllers,
        "scheduler": _scheduler,
        "kubelet": _kubelet,
    }
    return commands[part](layout, ports)


def _containerd(layout: Layout, ports: Ports) -> list[str | Path]:
    return ["containerd", "--config", layout.config("containerd.toml")]


def _etcd(layout: Layout, ports: Ports) -> list[str | Path]:
    client = f"https://127.0.0.1:{ports.etcd}"
    peer = f"https://127.0.0.1:{ports.etcd_peer}"
    certificates = layout.certificates
    command: list[str | Path] = [layout.program, "etcd", "--name=podtask"]
    command += [f"--data-dir={layout.root}/etcd", "--unsafe-no-fsync", "--log-level=warn"]
    command += [f"--listen-client-urls={client}", f"--advertise-client-urls={client}"]
    command += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"]
    command += [f"--initial-cluster=podtask={peer}"]
    # TLS is required on loopback too: other users may connect, and access to etcd gives control of the machine.
    for prefix in ("", "peer-"):
        command += [f"--{prefix}client-cert-auth"]
        command += [f"--{prefix}trusted-ca-file={certificates}/ca.crt"]
        command += [f"--{prefix}cert-file={certificates}/etcd.crt"]
        command += [f"--{prefix}key-file={certificates}/etcd.key"]
    return command


def _api_server(layout: Layout, ports: Ports) -> list[str | Path]:
    certificates = layout.certificates
    return [
        layout.program,
        "kube-apiserver",
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.api}",
        # Required because an endpoint must not have a loopback address.
        "--endpoint-reconciler-type=none",
        f"--etcd-servers=https://127.0.0.1:{ports.etcd}",
        f"--etcd-cafile={certificates}/ca.crt",
        f"--etcd-certfile={certificates}/api-client.crt",
        f"--etcd-keyfile={certificates}/api-client.key",
        f"--cert-dir={certificates}",
        f"--client-ca-file={certificates}/ca.crt",
        f"--tls-cert-file={certificates}/api-server.crt",
        f"--tls-private-key-file={certificates}/api-server.key",
        f"--kubelet-certificate-authority={certificates}/ca.crt",
        f"--kubelet-client-certificate={certificates}/api-client.crt",
        f"--kubelet-client-key={certificates}/api-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        # By these, a server behind an APIService knows whose request the API server passes on.
        f"--requestheader-client-ca-file={certificates}/ca.crt",
        "--requestheader-allowed-names=podtask-aggregator",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={certificates}/aggregator.crt",
        f"--proxy-client-key-file={certificates}/aggregator.key",
        "--authorization-mode=Node,RBAC",
        "--anonymous-auth=false",
        "--enable-admission-plugins=NodeRestriction",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={certificates}/service-accounts.key",
        # The certificate is used because this option does not accept a private key in PKCS 8.
        f"--service-account-key-file={certificates}/service-accounts.crt",
        f"--service-cluster-ip-range={SERVICE_SUBNET}",
        "--allow-privileged=true",
        # Tests measure latencies, and priority and fairness would queue their bursts of requests.
        "--enable-priority-and-fairness=false",
        "--max-requests-inflight=3000",
        "--max-mutating-requests-inflight=1000",
    ]


def _controllers(layout: Layout, ports: Ports) -> list[str | Path]:
    certificates = layout.certificates
    return [
        layout.program,
        "kube-controller-manager",
        f"--kubeconfig={layout.config('controllers.kubeconfig')}",
        # From 1.37 on there is no such controller, and naming it ends the program.
        "--controllers=*" + (",-cloud-node-lifecycle-controller" if program.minor() < 37 else ""),
        "--leader-elect=false",
        "--secure-port=0",
        f"--root-ca-file={certificates}/ca.crt",
        f"--service-account-private-key-file={certificates}/service-accounts.key",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--concurrent-namespace-syncs=20",
        # Shorter than upstream's 50 s, so that tests of a lost node take seconds.
        "--node-monitor-period=2s",
        "--node-monitor-grace-period=20s",
    ]


def _scheduler(layout: Layout, ports: Ports) -> list[str | Path]:
    return [
        layout.program,
        "kube-scheduler",
        f"--config={layout.config('scheduler.json')}",
        "--secure-port=0",
    ]


def _kubelet(layout: Layout, ports: Ports) -> list[str | Path]:
    return [
        layout.program,
        "kubelet",
        f"--config={layout.config('kubelet.json')}",
        f"--kubeconfig={layout.config('kubelet.kubeconfig')}",
        f"--root-dir={layout.root}/kubelet",
        f"--cert-dir={layout.certificates}",
        f"--hostname-override={NODE}",
        f"--node-ip={NODE_ADDRESS}",
    ]

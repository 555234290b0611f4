"""The configuration files of the parts of the node; this module starts nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cluster import certificates, images, mounts
from tests.cluster.layout import (
    CGROUP,
    NODE_ADDRESS,
    POD_BRIDGE,
    POD_GATEWAY,
    POD_SUBNET,
    Layout,
)

_CNI_DIRECTORIES = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))


def cni_directory() -> Path | None:
    """Return the directory of the network plugins, or None if they are not installed."""
    return next((path for path in _CNI_DIRECTORIES if (path / "bridge").exists()), None)


def snapshotter(layout: Layout) -> str:
    """Return the name of the snapshotter with which containerd creates root file systems."""
    # Overlays cannot be nested if the machine is itself a container.
    return "native" if mounts.file_system(layout.root) == "overlay" else "overlayfs"


def write_all(layout: Layout, api_port: int) -> None:
    """Write the configuration files and kubeconfigs; the certificates must exist."""
    server = f"https://127.0.0.1:{api_port}"
    for client in ("controllers", "scheduler", "kubelet"):
        text = certificates.kubeconfig(layout.certificates, client, server)
        layout.config(f"{client}.kubeconfig").write_text(text)
    layout.kubeconfig.write_text(certificates.kubeconfig(layout.certificates, "admin", server))
    _write_json(layout.config("kubelet.json"), _kubelet(layout))
    _write_json(layout.config("scheduler.json"), _scheduler(layout))


def write_containerd(layout: Layout) -> None:
    """Write the configuration of containerd, which needs no certificate and so starts early."""
    networks = layout.config("cni")
    networks.mkdir()
    _write_json(networks / "10-podtask.conflist", _network(layout))
    layout.config("containerd.toml").write_text(_containerd(layout, networks))


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1))


def _kubelet(layout: Layout) -> dict[str, Any]:
    keys = layout.certificates
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{keys}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{keys}/kubelet-server.crt",
        "tlsPrivateKeyFile": f"{keys}/kubelet-server.key",
        "containerRuntimeEndpoint": f"unix://{layout.cri_socket}",
        "podLogsDir": f"{layout.root}/pod-logs",
        "volumePluginDir": f"{layout.root}/kubelet/volume-plugins",
        "cgroupDriver": "cgroupfs",
        # A separate subtree, so that everything left in it belongs to this cluster.
        "cgroupRoot": f"/{CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "makeIPTablesUtilChains": False,
        "oomScoreAdj": 0,
        "resolvConf": "",
        # Nobody listens there, so that names fail at once; without any address the
        # kubelet adds a warning event to each pod.
        "clusterDNS": [POD_GATEWAY],
        "clusterDomain": "cluster.local",
        "maxPods": 250,
        "serializeImagePulls": False,
        "kubeAPIQPS": 500,
        "kubeAPIBurst": 1000,
        "eventRecordQPS": 0,
        "registryPullQPS": 0,
        "nodeLeaseDurationSeconds": 20,
        # The images cannot be pulled again.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%"},
    }


def _scheduler(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {
            "kubeconfig": str(layout.config("scheduler.kubeconfig")),
            "qps": 500,
            "burst": 1000,
        },
    }


def _network(layout: Layout) -> dict[str, Any]:
    return {
        "cniVersion": "0.4.0",
        "name": POD_BRIDGE,
        "plugins": [
            {
                "type": "bridge",
                "bridge": POD_BRIDGE,
                "isGateway": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": f"{layout.root}/addresses",
                    "ranges": [[{"subnet": POD_SUBNET, "gateway": POD_GATEWAY}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _containerd(layout: Layout, networks: Path) -> str:
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""\
version = 2
root = "{layout.root}/containerd"
state = "{layout.cri_state}"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{layout.cri_socket}"

[{cri}]
sandbox_image = "{images.PAUSE}"
netns_mounts_under_state_dir = true
stream_server_address = "127.0.0.1"
stream_server_port = "0"
# A lower score needs CAP_SYS_RESOURCE, which root has not everywhere.
restrict_oom_score_adj = true

[{cri}.containerd]
snapshotter = "{snapshotter(layout)}"
default_runtime_name = "runc"

[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[{cri}.containerd.runtimes.runc.options]
SystemdCgroup = false
Root = "{layout.runtime_state}"

[{cri}.cni]
bin_dir = "{cni_directory()}"
conf_dir = "{networks}"
"""

"""Find and remove everything that a run of the node left, however that run ended."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cluster import cgroups, parts, processes
from tests.cluster.errors import run, wait_until
from tests.cluster.layout import NODE_BRIDGE, POD_BRIDGE, Layout
from tests.cluster.mounts import unmount_below

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_INTERFACES = Path("/sys/class/net")
# Paths of the kubelet and the network library that cannot be configured.
_KUBELET = Path("/var/lib/kubelet")
_LOG_LINKS = Path("/var/log/containers")
_NETWORK_RESULTS = Path("/var/lib/cni/results")


def remember_machine(layout: Layout) -> None:
    """Save the settings of the machine that a running node changes."""
    (layout.root / "ip_forward").write_text(_FORWARDING.read_text())


def running(layout: Layout) -> dict[str, processes.Process]:
    """Return the parts that are running, by name."""
    found = {part: processes.recorded(layout.record(part)) for part in parts.NAMES}
    return {
        part: process
        for part, process in found.items()
        if process is not None and process.state() is not None
    }


def exist(layout: Layout) -> bool:
    """Return whether there is anything for `remove` to do."""
    bridges = any((_INTERFACES / name).exists() for name in (NODE_BRIDGE, POD_BRIDGE))
    return layout.root.exists() or bridges or cgroups.exist()


def remove(layout: Layout) -> None:
    """Restore the machine to its state before the node was started.

    Every step looks at what is there, so a second call finishes what a first one began.
    """
    # Kueue first: it is a client of the API server. Its objects go with the data of etcd.
    kueue = processes.recorded(layout.kueue / "process")
    if kueue is not None:
        processes.end([kueue])
    alive = running(layout)
    # The kubelet first: it would restart containers that end.
    for part in reversed(parts.NAMES):
        if part in alive:
            processes.end([alive[part]])
    # Shims survive containerd and have no record. Their arguments contain its socket.
    processes.end(processes.with_argument(str(layout.cri_socket)))
    processes.end(processes.with_argument(str(layout.runtime_state)))
    # Processes of containers are not our children, and they fork: repeat until none are left.
    wait_until(_no_members, "the end of the pods' processes", seconds=20)
    _unlink_shim_sockets(layout)
    unmount_below(layout.root)
    for bridge in (NODE_BRIDGE, POD_BRIDGE):
        if (_INTERFACES / bridge).exists():
            run(["ip", "link", "delete", bridge])
    cgroups.remove()
    _restore_machine(layout)
    _remove_fixed_paths(layout)
    if layout.root.exists():
        shutil.rmtree(layout.root)


def _no_members() -> bool:
    left = cgroups.members()
    processes.end(left)
    return not left


def _unlink_shim_sockets(layout: Layout) -> None:
    for address in layout.cri_state.glob("io.containerd.runtime.v2.task/*/*/address"):
        socket = address.read_text().strip()
        if socket.startswith("unix:///run/containerd/s/"):
            Path(socket.removeprefix("unix://")).unlink(missing_ok=True)


def _restore_machine(layout: Layout) -> None:
    saved = layout.root / "ip_forward"
    # The network plugin enables forwarding. A file that a power cut damaged is ignored.
    value = saved.read_text() if saved.exists() else ""
    if value.strip() in ("0", "1") and _FORWARDING.read_text() != value:
        _FORWARDING.write_text(value)


def _remove_fixed_paths(layout: Layout) -> None:
    if _NETWORK_RESULTS.exists():
        # Results for loopback do not contain our name, but the path of the pod's network.
        for result in _NETWORK_RESULTS.iterdir():
            if str(layout.root) in result.read_text():
                result.unlink()
    if _LOG_LINKS.exists():
        for link in _LOG_LINKS.iterdir():
            if link.is_symlink() and link.readlink().is_relative_to(layout.root):
                link.unlink()
    # If the machine is a node of another cluster, the files of its kubelet are kept.
    if layout.root.exists() and not (_KUBELET / "config.yaml").exists():
        _remove_kubelet_paths()


def _remove_kubelet_paths() -> None:
    plugins = _KUBELET / "device-plugins"
    for name in ("kubelet.sock", "kubelet_internal_checkpoint"):
        (plugins / name).unlink(missing_ok=True)
    for directory in (plugins, _KUBELET, _LOG_LINKS):
        if directory.exists() and not any(directory.iterdir()):
            directory.rmdir()

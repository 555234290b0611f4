"""A real controller of Kueue, as one process of this machine in front of an API server on loopback.

It runs in a chroot, because two paths of its certificates are constants in its source. Only namespaces with ``LABEL``
meet its webhooks, so that nothing else in the cluster is affected.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import certificates, kueue_program, processes
from tests.cluster.errors import ClusterError, log_tail, print_progress, wait_until

VARIABLE = "PODTASK_TEST_KUEUE"  # asks for Kueue when the cluster is started
LABEL = {"podtask-kueue": "yes"}
API_VERSION = "kueue.x-k8s.io/v1beta2"
KINDS = {"workloads", "localqueues", "clusterqueues", "resourceflavors"}  # that the tests use
NAMESPACE = "kueue-system"
# Below the kernel's ephemeral ports, on loopback only.
_WEBHOOK_PORT, _HEALTH_PORT, _VISIBILITY_PORT = 19443, 19081, 19082
_API_SERVICE = "v1beta2.visibility.kueue.x-k8s.io"
_CONVERTED = {"localqueues", "clusterqueues", "cohorts", "workloads", "multikueueclusters"}
_HOOKS = {"pod", "job", "clusterqueue", "resourceflavor", "workload", "cohort"}
_FIXED_CERTIFICATES = ("etc/kueue/metrics/certs", "visibility")  # constants in Kueue's source
_WEBHOOK_KINDS = ("mutatingwebhookconfiguration", "validatingwebhookconfiguration")
Kubectl = Callable[..., str]


class Kueue:
    """The one controller of Kueue on this machine, whichever process started it.

    Args:
        kubectl: Runs kubectl against the cluster.
        root: Folder of all its files.
    """

    def __init__(self, kubectl: Kubectl, root: Path) -> None:
        self._kubectl = kubectl
        self._root = root

    @property
    def record(self) -> Path:
        """The file that records its process."""
        return self._root / "process"

    @property
    def log(self) -> Path:
        """Its log."""
        return self._root / "log"

    @property
    def is_running(self) -> bool:
        """Whether the controller runs."""
        process = processes.recorded(self.record)
        return process is not None and process.state() is not None

    def up(self, kubeconfig: Path) -> None:
        """Start it unless it runs.

        Args:
            kubeconfig: The administrator's kubeconfig, with all files embedded.
        """
        if self.is_running:
            return
        executable = kueue_program.obtain()
        shutil.rmtree(self._root, ignore_errors=True)
        self._root.mkdir(mode=0o700, parents=True)
        bundle = self._write_files(executable, kubeconfig)
        with tempfile.TemporaryDirectory() as folder:
            *definitions, webhooks = kueue_program.manifests(Path(folder))
            self._apply([_converted(each, bundle) for path in definitions for each in _read(path)])
            hooks = [_webhooks(each, bundle) for each in _read(webhooks)]
        wait_for_kinds(self._kubectl)
        chroot = shutil.which("chroot")
        if chroot is None:
            raise ClusterError("chroot is not installed")
        command: list[str | Path] = [
            chroot,
            self._root,
            "/kueue",
            "--config=/config.yaml",
            "--kubeconfig=/kubeconfig",
            "--zap-log-level=2",
        ]
        process = processes.start(command, record=self.record, log=self.log)

        def is_ready() -> bool:
            if process.state() is None:
                raise ClusterError(f"Kueue ended; its log ends:\n{log_tail(self.log)}")
            return _is_healthy()

        wait_until(is_ready, "a ready Kueue", seconds=60, explain=lambda: log_tail(self.log))
        # Only now: before their server listens, they would refuse every object.
        self._apply(hooks)
        # Last: while its server is away, an APIService breaks the discovery of all resources.
        self._apply(_visibility())
        print_progress("Kueue is ready")

    def down(self) -> None:
        """Stop it, and remove all its objects and files."""
        if not self._root.exists():
            return
        self._kubectl("delete", "apiservice", _API_SERVICE, "--ignore-not-found")
        # While the controller runs, because it must take off its finalizers.
        for kinds in ("workloads", "localqueues,clusterqueues", "resourceflavors"):
            self._kubectl("delete", kinds, "--all", "--all-namespaces", "--timeout=30s", check=False)
        self.stop_process()
        for kind in _WEBHOOK_KINDS:
            self._kubectl("delete", kind, f"podtask-kueue-{kind}", "--ignore-not-found")
        crds = self._kubectl("get", "crd", "--output=name").split()
        ours = [name for name in crds if name.endswith(".kueue.x-k8s.io")]
        self._kubectl("delete", "--timeout=60s", "--ignore-not-found", f"namespace/{NAMESPACE}", *ours)
        shutil.rmtree(self._root)

    def stop_process(self) -> None:
        """End the process."""
        process = processes.recorded(self.record)
        if process is not None and process.signal(signal.SIGTERM) and not process.wait(15):
            processes.end([process])

    def _write_files(self, executable: Path, kubeconfig: Path) -> str:
        """Write what lies in the chroot; return the certificate authority for clients of the controller."""
        root = self._root
        keys = root / "certificates"
        certificates.make_server(keys, "kueue")
        for folder in ("webhook", *_FIXED_CERTIFICATES):
            (root / folder).mkdir(parents=True)
            for kind in ("crt", "key"):
                shutil.copy(keys / f"kueue.{kind}", root / folder / f"tls.{kind}")
        (root / "tmp").mkdir()
        (root / "config.yaml").write_text(json.dumps(_configuration(), indent=1))
        shutil.copy(kubeconfig, root / "kubeconfig")
        try:
            os.link(executable, root / "kueue")
        except OSError:  # the cache is on another file system
            shutil.copy(executable, root / "kueue")
        return base64.b64encode((keys / "ca.crt").read_bytes()).decode()

    def _apply(self, objects: list[dict[str, Any]]) -> None:
        # By the server: the definition of Workloads is larger than the annotation in which a client would keep it.
        listed = {"apiVersion": "v1", "kind": "List", "items": objects}
        self._kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", input=json.dumps(listed))


def wait_for_kinds(kubectl: Kubectl) -> None:
    """Wait until the API server serves the kinds of Kueue that were just defined, as its discovery says."""

    def are_served() -> bool:
        text = kubectl("get", "--raw", f"/apis/{API_VERSION}", check=False)
        found = json.loads(text)["resources"] if text.startswith("{") else []  # else an error: not yet
        return {each["name"] for each in found} >= KINDS

    wait_until(are_served, "Kueue's kinds", seconds=60)


def _is_healthy() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{_HEALTH_PORT}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:  # it does not listen yet, or is not ready
        return False


def _read(path: Path) -> list[dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # one file has 1.4 MB
    return [each for each in yaml.load_all(path.read_text(), loader) if each]


def _configuration() -> dict[str, Any]:
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "namespace": NAMESPACE,
        "health": {"healthProbeBindAddress": f"127.0.0.1:{_HEALTH_PORT}"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"host": "127.0.0.1", "port": _WEBHOOK_PORT, "certDir": "/webhook"},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
        "visibilityServer": {"bindAddress": "127.0.0.1", "bindPort": _VISIBILITY_PORT},
        "clientConnection": {"qps": 500, "burst": 1000},
        "managedJobsNamespaceSelector": {"matchLabels": LABEL},
        "integrations": {"frameworks": ["batch/job", "pod"]},
    }


def _client(path: str, bundle: str) -> dict[str, str]:
    return {"url": f"https://127.0.0.1:{_WEBHOOK_PORT}{path}", "caBundle": bundle}


def _converted(definition: dict[str, Any], bundle: str) -> dict[str, Any]:
    """Return a definition whose other versions the controller converts."""
    if definition["spec"]["names"]["plural"] in _CONVERTED:
        webhook = {"conversionReviewVersions": ["v1"], "clientConfig": _client("/convert", bundle)}
        definition["spec"]["conversion"] = {"strategy": "Webhook", "webhook": webhook}
    return definition


def _webhooks(configuration: dict[str, Any], bundle: str) -> dict[str, Any]:
    """Return the webhooks for the kinds that the tests use, in the labeled namespaces only."""
    hooks = [each for each in configuration["webhooks"] if each["name"][1:].partition(".")[0] in _HOOKS]
    for hook in hooks:
        hook["clientConfig"] = _client(hook["clientConfig"]["service"]["path"], bundle)
        hook["namespaceSelector"] = {"matchLabels": LABEL}  # ignored for kinds of the whole cluster
    name = f"podtask-kueue-{configuration['kind'].lower()}"
    return {**configuration, "metadata": {"name": name}, "webhooks": hooks}


def _visibility() -> list[dict[str, Any]]:
    """Return the objects by which the API server passes on requests for positions in queues."""
    service = {"name": "visibility-server", "namespace": NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": service,
            # The API server itself resolves the name: no endpoints and no address of a Service are needed.
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": _API_SERVICE},
            "spec": {
                "group": "visibility.kueue.x-k8s.io",
                "version": "v1beta2",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,  # as in Kueue's own manifests
                "service": {**service, "port": _VISIBILITY_PORT},
            },
        },
    ]

"""Pods that the API server rejects because of a quota, limits, a policy or a missing object."""

from __future__ import annotations

import base64
import itertools
import json
import socketserver
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.errors import run
from tests.pods.waiting import failure, submit

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]


def refused(template: Any, **options: Any) -> str:
    """Return the error of a task whose pod is rejected; check that it has at most three lines."""
    said = failure(submit(template, **options))
    assert said.startswith("InputError")
    assert len(said.splitlines()) <= 3
    return said


@pytest.mark.feature("N04")
@pytest.mark.fault(3)
def test_quota_is_named(cluster: Any, namespace: str) -> None:
    """The error names the quota that is exceeded, or that requires a value."""
    quota = ("create", "quota", "-n", namespace)
    cluster.kubectl(*quota, "team", "--hard=requests.memory=64Mi")
    said = refused(None, memory="128Mi")
    assert "exceeded quota: team, requested: requests.memory=128Mi" in said
    assert "-n" in said
    said = refused(None)
    assert "Quota team of namespace" in said
    assert "requires requests.memory: use --memory 8Gi." in said


@pytest.mark.pod("P12")
def test_all_keys_that_a_quota_requires_are_named(cluster: Any, namespace: str) -> None:
    """The error names every missing key, and the flags that it suggests are accepted."""
    hard = "--hard=limits.cpu=4,limits.memory=16Gi,requests.cpu=4,requests.memory=16Gi"
    cluster.kubectl("create", "quota", "-n", namespace, "all", hard)
    assert "limits.cpu, limits.memory, requests.cpu, requests.memory: use --limits cpu=2,memory=8Gi." in (
        refused(None)
    )
    assert submit(None, "6 * 7", limits="cpu=1,memory=128Mi").result(60) == 42
    said = refused({"containers": [{"name": "side", "image": "nopython:1"}]}, limits="cpu=1,memory=128Mi")
    assert "in the template: spec.containers[side].resources." in said


@pytest.mark.pod("P13")
def test_hint_about_pod_security_names_restricted_and_what_remains(cluster: Any, namespace: str) -> None:
    """The error names --restricted, then only what it does not cover."""
    label = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", namespace, label)
    assert "Use --restricted, which covers container 'primary'." in refused(None)
    assert submit(None, "6 * 7", restricted=True).result(60) == 42
    side = {"name": "side", "image": "nopython:1", "command": ["true"]}
    host_path = {"name": "logs", "hostPath": {"path": "/var/log"}}
    template = {"containers": [side], "volumes": [host_path]}
    for said in (refused(template), refused(template, restricted=True)):
        assert "hange in the template: " in said
        assert "seccompProfile of side" in said
        assert 'restricted volume types (volume "logs" uses restricted volume type "hostPath")' in said
        hint = said.splitlines()[-1]
        assert "of primary" not in hint


@pytest.mark.feature("N04")
@pytest.mark.fault(6)
def test_limit_range_is_named(cluster: Any, namespace: str) -> None:
    """The error contains the limit of a LimitRange and the option to change."""
    limits = [{"type": "Container", "max": {"memory": "64Mi"}}]
    made = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "small"},
        "spec": {"limits": limits},
    }
    cluster.kubectl("create", "-n", namespace, "--filename=-", input=json.dumps(made))
    said = refused(None, memory="128Mi")
    assert "maximum memory usage per Container is 64Mi" in said
    assert "A LimitRange of namespace" in said


@pytest.mark.feature("B12", "N04")
@pytest.mark.fault(6)
def test_policy_against_host_paths_is_explained(cluster: Any, namespace: str) -> None:
    """The error about a rejection by Pod Security names the volume."""
    label = "pod-security.kubernetes.io/enforce=baseline"
    cluster.kubectl("label", "namespace", namespace, label)
    volumes = [{"name": "logs", "hostPath": {"path": "/var/log"}}]
    said = refused({"volumes": volumes, "containers": []})
    assert 'hostPath volumes (volume "logs")' in said
    assert 'Change in the template: hostPath volumes (volume "logs").' in said


@pytest.mark.feature("B20", "N04")
def test_missing_service_account_is_named(namespace: str) -> None:
    """The error names a missing service account and its field."""
    said = refused({"serviceAccountName": "absent", "containers": []})
    assert 'serviceaccount "absent" not found' in said
    assert "spec.serviceAccountName" in said


@pytest.mark.feature("N04")
def test_missing_priority_class_is_named() -> None:
    """The error names a missing priority class and its field."""
    said = refused({"priorityClassName": "absent", "containers": []})
    assert "no PriorityClass with name absent" in said
    assert "spec.priorityClassName" in said


@pytest.mark.feature("N04")
def test_missing_runtime_class_is_named() -> None:
    """The error names a missing runtime class and its field."""
    said = refused({"runtimeClassName": "absent", "containers": []})
    assert 'RuntimeClass "absent" not found' in said
    assert "spec.runtimeClassName" in said


@contextmanager
def webhook(
    cluster: Any, namespace: str, url: str, seconds: int, authority: bytes = b""
) -> Iterator[Callable[[], None]]:
    """Register a webhook for pods of the namespace, and yield a function that removes it."""
    name = f"podtask-test-{uuid.uuid4().hex[:8]}"
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    hook = {
        "name": "team.podtask.test",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"url": url, "caBundle": base64.b64encode(authority).decode()},
        "rules": [rule],
        "timeoutSeconds": seconds,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
    }
    made = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [hook],
    }
    cluster.kubectl("create", "--filename=-", input=json.dumps(made))

    def end() -> None:
        kind = "validatingwebhookconfigurations"
        cluster.kubectl("delete", kind, name, "--ignore-not-found")

    try:
        wait_for_refusal(cluster, namespace)
        yield end
    finally:
        end()


@pytest.mark.feature("N04")
@pytest.mark.fault(6)
def test_webhook_that_does_not_answer_is_named(cluster: Any, namespace: str) -> None:
    """The error names a webhook that does not respond, and that the pod is not the cause."""
    with webhook(cluster, namespace, "https://127.0.0.1:1/nobody", 1):
        said = failure(submit(None))
    assert "Webhook 'team.podtask.test' did not answer" in said
    assert len(said.splitlines()) <= 3


@pytest.mark.feature("N04")
@pytest.mark.fault(6)
def test_webhook_that_denies_is_quoted(cluster: Any, namespace: str, tmp_path: Path) -> None:
    """The error quotes the message of a webhook and explains that it is a policy of the cluster."""
    assert cluster.node  # its API server can connect to the loopback of this machine
    files = [tmp_path / "hook.key", tmp_path / "hook.crt"]
    run(
        [
            "openssl",
            "req",
            "-x509",
            "-nodes",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-days",
            "1",
            "-subj",
            "/CN=hook",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            files[0],
            "-out",
            files[1],
        ]
    )

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = {
                "uid": review["request"]["uid"],
                "allowed": False,
                "status": {"message": "pods need a cost centre"},
            }
            said = json.dumps({**review, "request": None, "response": answer}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever).start()
        try:
            url = f"https://127.0.0.1:{server.server_address[1]}/hook"
            with webhook(cluster, namespace, url, 5, files[1].read_bytes()):
                said = refused(None)
        finally:
            server.shutdown()
    assert 'admission webhook "team.podtask.test" denied the request: pods need a cost centre' in said
    assert "A policy of the cluster" in said


@pytest.mark.fault(6)
def test_creation_is_tried_again_while_a_webhook_fails(cluster: Any, namespace: str) -> None:
    """If a webhook breaks the connection and then is unreachable, the creation is retried."""
    assert cluster.node
    armed, held, away = threading.Event(), threading.Event(), threading.Event()
    reviews = itertools.count()

    class Hook(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            if armed.is_set() and next(reviews) == 1:
                held.set()
                away.wait(20)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            url = f"https://127.0.0.1:{server.server_address[1]}/hook"
            with webhook(cluster, namespace, url, 15) as end:
                armed.set()
                task = submit(None, "6 * 7")
                assert held.wait(60), task.error
                end()
                while not accepted(cluster, namespace):
                    pass
                away.set()
                assert task.result(60) == 42
        finally:
            away.set()
            server.shutdown()
    pods = cluster.kubectl_json("get", "pods", "-n", namespace)["items"]
    assert {each["metadata"]["name"] for each in pods} <= {task.name}


def accepted(cluster: Any, namespace: str) -> bool:
    """Return whether the API server would accept a pod in the namespace."""
    probe = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe"},
        "spec": {"containers": [{"name": "x", "image": "x"}]},
    }
    dry = ("create", "-n", namespace, "--dry-run=server", "--filename=-")
    return "created" in cluster.kubectl(*dry, input=json.dumps(probe), check=False)


def wait_for_refusal(cluster: Any, namespace: str) -> None:
    """Wait until the API server enforces a policy, which takes a moment."""
    while accepted(cluster, namespace):
        pass


@pytest.mark.feature("N04")
@pytest.mark.fault(6)
def test_policy_of_the_cluster_is_quoted(cluster: Any, namespace: str) -> None:
    """The error quotes the message of a ValidatingAdmissionPolicy."""
    name = f"podtask-test-{uuid.uuid4().hex[:8]}"
    group = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    validations = [
        {
            "expression": "has(object.metadata.labels.team)",
            "message": "every pod needs a label team",
        }
    ]
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    policy = {
        **group,
        "kind": "ValidatingAdmissionPolicy",
        "spec": {
            "matchConstraints": {"resourceRules": rules, "namespaceSelector": selector},
            "validations": validations,
        },
    }
    binding = {
        **group,
        "kind": "ValidatingAdmissionPolicyBinding",
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    listed = {"apiVersion": "v1", "kind": "List", "items": [policy, binding]}
    cluster.kubectl("create", "--filename=-", input=json.dumps(listed))
    try:
        wait_for_refusal(cluster, namespace)
        said = refused(None)
    finally:
        cluster.kubectl("delete", "validatingadmissionpolicies,validatingadmissionpolicybindings", name)
    assert "every pod needs a label team" in said
    assert "A policy of the cluster" in said

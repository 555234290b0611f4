"""The pytest plugin: a real cluster, a namespace per test, narrow rights, a bad network."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.cluster import provider
from tests.cluster.errors import ClusterError, wait_until
from tests.cluster.handle import Cluster
from tests.cluster.node import Node
from tests.cluster.proxy import Proxy

Rules = list[dict[str, Any]]


class ApiProxy(Proxy):
    """A bad network between a client and the API server.

    Attributes:
        kubeconfig: The way through it.
    """

    kubeconfig: Path


class RestrictedKubeconfig(Protocol):
    """Make kubeconfigs of service accounts that may do little."""

    def __call__(self, rules: Rules, namespace: str | None = None, *, seconds: int = 3600) -> Path:
        """Make an account that may do what the rules of a Role say.

        Args:
            rules: As in the Role.
            namespace: Where; the test's own namespace by default.
            seconds: How long the token is valid; the API server wants 600 at least.
        """


class MakeApiProxy(Protocol):
    """Make proxies to the API server."""

    def __call__(self, kubeconfig: Path | None = None, *, delay_ms: float = 0) -> ApiProxy:
        """Make a proxy; its kubeconfig is the given one's (else the administrator's) twin."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line("markers", "cluster: needs a real Kubernetes")
    config.addinivalue_line("markers", "first: restarts the cluster, so it runs before all that use it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the tests that restart the cluster to the front; the rest keeps its order."""
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


STARTED: pytest.StashKey[Cluster | ClusterError] = pytest.StashKey()


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Start the cluster before the first test that uses it: building it takes longer than any test may."""
    config = item.config
    wanted = "cluster" in getattr(item, "fixturenames", ())
    if wanted and STARTED not in config.stash and not provider.unavailable():
        with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            config.stash[STARTED] = _start()
    yield


def _start() -> Cluster | ClusterError:
    given = provider.given_kubeconfig()
    if given is not None:
        return Cluster(given, None)
    node = Node()
    try:
        node.up()
    except ClusterError as error:
        return error
    return Cluster(node.layout.kubeconfig, node)


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    """The cluster; started if it was not up, and left running for the next run."""
    reason = provider.unavailable()
    if reason is not None:
        if os.environ.get("PODTASK_TEST_CLUSTER") == "required":
            pytest.fail(f"PODTASK_TEST_CLUSTER=required, but no cluster: {reason}")
        pytest.skip(f"no cluster: {reason}")
    started = pytestconfig.stash[STARTED]
    if isinstance(started, ClusterError):
        raise started
    return started


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace, ready for pods; deleted after the test, which does not wait."""
    name = f"podtask-test-{uuid.uuid4().hex[:10]}"
    cluster.kubectl("create", "namespace", name)
    try:
        # Without the account no pod is admitted; without the authority's map its start
        # is delayed and a warning event added.
        for awaited in ("serviceaccount/default", "configmap/kube-root-ca.crt"):
            cluster.kubectl("wait", "--for=create", awaited, f"--namespace={name}", "--timeout=60s")
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
def restricted_kubeconfig(cluster: Cluster, namespace: str, tmp_path: Path) -> RestrictedKubeconfig:
    """Make kubeconfigs of service accounts; their file's stem is the account's name."""
    own_namespace = namespace

    def make(rules: Rules, namespace: str | None = None, *, seconds: int = 3600) -> Path:
        where = namespace or own_namespace
        name = f"restricted-{uuid.uuid4().hex[:8]}"
        objects = {"kind": "List", "apiVersion": "v1", "items": _account(name, where, rules)}
        cluster.kubectl("create", "--filename=-", input=json.dumps(objects))
        token = cluster.kubectl("create", "token", name, f"--namespace={where}", f"--duration={seconds}s")
        target = tmp_path / f"{name}.kubeconfig"
        cluster.write_kubeconfig(target, token=token.strip(), namespace=where)
        if rules:
            # The API server learns of a new role from a watch, a moment later.
            wait_until(
                lambda: _allowed(cluster, target, where, rules[0]),
                f"the right of {name} to do {rules[0]}",
                seconds=20,
            )
        return target

    return make


@pytest.fixture
def api_proxy(cluster: Cluster, tmp_path: Path) -> Iterator[MakeApiProxy]:
    """Make proxies to the API server that cut, hold and delay; closed after the test."""
    with ExitStack() as stack:

        def make(kubeconfig: Path | None = None, *, delay_ms: float = 0) -> ApiProxy:
            proxy = ApiProxy(*cluster.server, delay_ms=delay_ms)
            stack.callback(proxy.close)
            proxy.kubeconfig = cluster.write_kubeconfig(
                tmp_path / f"proxy-{proxy.port}.kubeconfig", source=kubeconfig, port=proxy.port
            )
            return proxy

        yield make


def _account(name: str, namespace: str, rules: Rules) -> list[dict[str, Any]]:
    metadata = {"name": name, "namespace": namespace}
    group = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata}
    binding = {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": metadata}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {**role, "rules": rules},
        {
            **binding,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", **metadata}],
        },
    ]


def _allowed(cluster: Cluster, kubeconfig: Path, namespace: str, rule: dict[str, Any]) -> bool:
    resource, _, subresource = rule["resources"][0].partition("/")
    asked = {
        "namespace": namespace,
        "verb": rule["verbs"][0],
        "group": rule["apiGroups"][0],
        "resource": resource,
        "subresource": subresource,
        "name": rule.get("resourceNames", [""])[0],
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    answer = cluster.kubectl(
        "create",
        "--filename=-",
        # Validation wants to list the custom resources, which it may not.
        "--validate=false",
        "--output=jsonpath={.status.allowed}",
        input=json.dumps(review),
        kubeconfig=kubeconfig,
    )
    return answer == "true"

"""The pytest plugin: a real cluster, a namespace for each test, limited rights, and a bad network."""

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
from tests.cluster.handle import Cluster, start_cluster
from tests.cluster.locks import ClusterLock, Use
from tests.cluster.proxy import Proxy

Rules = list[dict[str, Any]]


class ApiProxy(Proxy):
    """Slow or unreliable network between a client and the API server.

    Attributes:
        kubeconfig: The way through it.
    """

    kubeconfig: Path


class RestrictedKubeconfig(Protocol):
    """Function that makes kubeconfigs of service accounts with limited rights."""

    def __call__(self, rules: Rules, namespace: str | None = None, *, seconds: int = 3600) -> Path:
        """Create a service account with the rules of a Role, and return its kubeconfig.

        Args:
            rules: The rules, as in a Role.
            namespace: Namespace of the account; by default, the namespace of the test.
            seconds: Validity of the token; the API server requires at least 600.
        """


class MakeApiProxy(Protocol):
    """Function that makes proxies to the API server."""

    def __call__(self, kubeconfig: Path | None = None, *, delay_ms: float = 0) -> ApiProxy:
        """Start a proxy; its kubeconfig is a copy of the given one (by default, the administrator's)."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line("markers", "cluster: needs a real Kubernetes")
    config.addinivalue_line("markers", "first: kills all pods, so it runs before all that use the cluster")
    config.addinivalue_line(
        "markers", "exclusive: disturbs all pods, so no other test uses the cluster meanwhile"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the tests that restart the cluster to the front; the other tests keep their order."""
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


STARTED: pytest.StashKey[Cluster | ClusterError] = pytest.StashKey()
LOCK: pytest.StashKey[ClusterLock] = pytest.StashKey()


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Wait until a test may use the cluster, and start the cluster before the first test.

    Neither counts against the timeout of the test: both may take longer.
    """
    if "cluster" not in getattr(item, "fixturenames", ()) or provider.unavailable():
        yield
        return
    stash = item.config.stash
    if LOCK not in stash:
        stash[LOCK] = ClusterLock()
    with stash[LOCK].held(_use_of(item)):
        if STARTED not in stash:
            capture = item.config.pluginmanager.getplugin("capturemanager")
            with capture.global_and_fixture_disabled():
                stash[STARTED] = _start()
        yield


def _use_of(item: pytest.Item) -> Use:
    if item.get_closest_marker("first"):
        return "first"
    return "exclusive" if item.get_closest_marker("exclusive") else "shared"


def _start() -> Cluster | ClusterError:
    try:
        return start_cluster()
    except ClusterError as error:
        return error


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    """Return the cluster. It is started if necessary, and keeps running for the next run."""
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
    """Yield a new namespace, ready for pods.

    It is deleted after the test, which does not wait for the deletion.
    """
    name = f"podtask-test-{uuid.uuid4().hex[:10]}"
    with cluster.temporary_namespace(name):
        yield name


@pytest.fixture
def restricted_kubeconfig(cluster: Cluster, namespace: str, tmp_path: Path) -> RestrictedKubeconfig:
    """Return a function that makes kubeconfigs of service accounts, named by the stem of the file."""
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
            # The API server receives a new role through a watch, a moment later.
            wait_until(
                lambda: _allowed(cluster, target, where, rules[0]),
                f"the right of {name} to do {rules[0]}",
                seconds=20,
            )
        return target

    return make


@pytest.fixture
def api_proxy(cluster: Cluster, tmp_path: Path) -> Iterator[MakeApiProxy]:
    """Yield a function that makes proxies to the API server; the proxies are closed after the test."""
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
        # Validation would list custom resources, which the account may not do.
        "--validate=false",
        "--output=jsonpath={.status.allowed}",
        input=json.dumps(review),
        kubeconfig=kubeconfig,
    )
    return answer == "true"

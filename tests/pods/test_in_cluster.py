"""A notebook that runs in a pod of the cluster uses the service account of the pod."""

from __future__ import annotations

import json
import sys
import sysconfig
from pathlib import Path
from typing import Any

import podtask
import pytest

pytestmark = pytest.mark.cluster
PROGRAM = """
import podtask
task = podtask.submit("6 * 7", options=podtask.RunOptions.of(image="python:3.11-slim"))
print(task.result(60), task.url)
print(task.manifest["metadata"]["ownerReferences"])
detached = podtask.submit("1", options=podtask.RunOptions.of(image="python:3.11-slim", detach=True))
print(detached.result(60), "ownerReferences" in detached.manifest["metadata"])
"""


@pytest.mark.feature("A37")
def test_service_account_is_used_without_a_kubeconfig(cluster: Any, namespace: str) -> None:
    """In a pod, podtask uses the token, namespace and API server of the service account.

    Pods of cells are deleted with the notebook's pod, except detached ones.
    """
    if sys.version_info[:2] != (3, 11) or not cluster.own:
        pytest.skip("runs this Python's packages in the node's image of Python 3.11")
    host, port = cluster.server
    account = f"--serviceaccount={namespace}:default"
    cluster.kubectl(
        "create",
        "role",
        "run",
        "-n",
        namespace,
        "--verb=create,get,list,watch,delete",
        "--resource=pods,pods/portforward",
    )
    cluster.kubectl("create", "rolebinding", "run", "-n", namespace, "--role=run", account)
    folders = {
        "site": sysconfig.get_path("purelib"),
        "ext": str(Path(podtask.__file__).parent.parent),
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "notebook"},
        "spec": {
            "restartPolicy": "Never",
            "hostNetwork": True,  # the API server listens on the loopback of the node
            "containers": [
                {
                    "name": "notebook",
                    "image": "python:3.11-slim",
                    "command": ["python3", "-c", PROGRAM],
                    "env": [
                        {"name": "PYTHONPATH", "value": "/ext:/site"},
                        {"name": "HOSTNAME", "value": "notebook"},  # as in a pod without hostNetwork
                        {"name": "KUBERNETES_SERVICE_HOST", "value": host},
                        {"name": "KUBERNETES_SERVICE_PORT", "value": str(port)},
                    ],
                    "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in folders],
                }
            ],
            "volumes": [{"name": name, "hostPath": {"path": path}} for name, path in folders.items()],
        },
    }
    cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(pod))
    ended = "--for=jsonpath={.status.containerStatuses[0].state.terminated.reason}"
    cluster.kubectl("wait", ended, "pod/notebook", "-n", namespace, "--timeout=90s")
    uid = cluster.kubectl_json("get", "pod", "notebook", "-n", namespace)["metadata"]["uid"]
    said = cluster.kubectl("logs", "notebook", "-n", namespace)
    assert said.startswith(f"42 in-cluster/{namespace}/podtask-"), said
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "notebook", "uid": uid}
    assert said.splitlines()[1:] == [str([owner]), "1 False"]

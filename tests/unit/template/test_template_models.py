"""Models of the client library as templates, including the examples of the original documents."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from kubernetes import client
from podtask.template.template import PodTemplate

from tests.unit import document_templates

SEEDS: dict[str, Any] = {
    "basic": {
        "containers": [{"name": "primary", "env": [{"name": "hello", "value": "world"}]}],
        "imagePullSecrets": [{"name": "regcred-test"}],
    },
    "volume": {
        "containers": [
            {
                "name": "primary",
                "volumeMounts": [{"name": "data-volume", "mountPath": "/mnt/data", "readOnly": False}],
            }
        ],
        "volumes": [
            {
                "name": "data-volume",
                "csi": {"driver": "your-csi-driver", "volumeAttributes": {"key": "value"}},
            }
        ],
    },
    "bucket": {
        "containers": [{"name": "primary", "volumeMounts": [{"name": "gcs", "mountPath": "/mnt/gcs"}]}],
        "volumes": [
            {
                "name": "gcs",
                "csi": {
                    "driver": "gcsfuse.csi.storage.gke.io",
                    "volumeAttributes": {"bucketName": "my-bucket"},
                },
            }
        ],
    },
    "metrics": {
        "containers": [
            {"name": "primary"},
            {
                "name": "metrics-sidecar",
                "image": "prom/pushgateway:latest",
                "ports": [{"containerPort": 9091}],
            },
        ]
    },
    "registry": {
        "containers": [{"name": "primary"}],
        "imagePullSecrets": [{"name": "my-registry-secret"}],
    },
    "metadata only": {},
    "override": {
        "containers": [
            {
                "name": "my-primary-container",
                "image": "my-custom-image:latest",
                "command": ["echo", "hello"],
                "resources": {"requests": {"cpu": "100m"}},
            }
        ]
    },
    "sidecar only": {
        "containers": [{"name": "my-sidecar", "image": "busybox", "command": ["sleep", "3600"]}]
    },
}


class OldModel:
    """A class with the attributes of a model of client 36 and older."""

    attribute_map: dict[str, str] = {"name": "name", "host_ip": "hostIP", "ports": "ports"}  # noqa: RUF012

    def __init__(self, **given: Any) -> None:
        self.name = self.host_ip = self.ports = None
        vars(self).update(given)


@pytest.mark.parametrize("name", SEEDS)
def test_examples_of_the_documents_become_this_spec(name: str) -> None:
    """The V1 objects of the documents become exactly these dicts."""
    assert document_templates.ALL[name].pod_spec == SEEDS[name]


def test_metadata_of_the_documents_is_kept() -> None:
    """Labels, annotations and primary container name are kept, and the name has a default."""
    given = document_templates.METADATA
    assert given.labels == {"environment": "production", "team": "data-science"}
    assert given.annotations == {"kubernetes.io/description": "A critical data processing task"}
    assert given.primary_container_name == "my-primary-container"
    assert PodTemplate().primary_container_name == "primary"


@pytest.mark.feature("A18")
def test_port_as_a_dict_inside_a_model_is_the_models_port() -> None:
    """A dict instead of a port model gives the same wire form, as does YAML text."""
    ports: list[Any] = [
        [{"containerPort": 9091}],
        [{"container_port": 9091}],
        [client.V1ContainerPort(container_port=9091)],
    ]
    specs = [
        client.V1PodSpec(containers=[client.V1Container(name="metrics-sidecar", ports=each)])
        for each in ports
    ]
    found = [PodTemplate(spec).to_yaml() for spec in specs]
    wanted = {"containers": [{"name": "metrics-sidecar", "ports": [{"containerPort": 9091}]}]}
    assert found == [PodTemplate(wanted).to_yaml()] * 3


def test_older_models_are_read_by_their_map() -> None:
    """A model of an older client that contains a dict is read with the model's own attribute map."""
    port = OldModel(name="http", host_ip="127.0.0.1")
    model = OldModel(name="primary", ports=[{"containerPort": 1}, port])
    found = PodTemplate({"containers": [model]}).pod_spec
    assert found["containers"] == [
        {"name": "primary", "ports": [{"containerPort": 1}, {"name": "http", "hostIP": "127.0.0.1"}]}
    ]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (client.V1Probe(_exec=client.V1ExecAction(command=["a"])), {"exec": {"command": ["a"]}}),
        (
            client.V1ContainerPort(container_port=1, host_ip="::1"),
            {"containerPort": 1, "hostIP": "::1"},
        ),
        (
            client.V1SecurityContext(se_linux_options=client.V1SELinuxOptions(level="s0")),
            {"seLinuxOptions": {"level": "s0"}},
        ),
        (client.V1Container(name="a", tty=False, args=[]), {"name": "a", "tty": False, "args": []}),
    ],
    ids=["exec", "hostIP", "seLinux", "false and empty"],
)
def test_irregular_names_of_models_are_converted(model: Any, expected: dict[str, Any]) -> None:
    """Irregular field names come from the model's attribute map, and False is kept."""
    spec = PodTemplate({"containers": [{"name": "primary", "x": model}]}).pod_spec
    assert spec["containers"][0]["x"] == expected


@pytest.mark.parametrize("kind", [client.V1Pod, client.V1PodTemplateSpec])
def test_models_of_whole_pods(kind: Any) -> None:
    """The metadata of a V1Pod or a V1PodTemplateSpec is kept."""
    metadata = client.V1ObjectMeta(labels={"a_b": "c"})
    spec = client.V1PodSpec(containers=[client.V1Container(name="primary")])
    found = PodTemplate.of(kind(metadata=metadata, spec=spec))
    assert found == PodTemplate({"containers": [{"name": "primary"}]}, labels={"a_b": "c"})


@pytest.mark.parametrize("name", document_templates.ALL)
def test_template_survives_a_pickle(name: str) -> None:
    """A pickled template is equal, needs no client library, and keeps its hash."""
    data = pickle.dumps(document_templates.ALL[name])
    assert b"kubernetes.client" not in data
    found = pickle.loads(data)
    assert found == document_templates.ALL[name]
    assert hash(found) == hash(document_templates.ALL[name])

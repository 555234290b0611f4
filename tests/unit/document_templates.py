"""The pod templates of the two documents that specify podtask's templates, as written there."""

from __future__ import annotations

from typing import Any, cast

from kubernetes.client import (
    V1Container,
    V1CSIVolumeSource,
    V1EnvVar,
    V1LocalObjectReference,
    V1PodSpec,
    V1ResourceRequirements,
    V1Volume,
    V1VolumeMount,
)
from podtask import PodTemplate

FLYTEKIT = "cr.flyte.org/flyteorg/flytekit:py3.9-latest"

BASIC = PodTemplate(
    primary_container_name="primary",
    labels={"lKeyA": "lValA"},
    annotations={"aKeyA": "aValA"},
    pod_spec=V1PodSpec(
        containers=[V1Container(name="primary", env=[V1EnvVar(name="hello", value="world")])],
        image_pull_secrets=[V1LocalObjectReference(name="regcred-test")],
    ),
)
VOLUME = PodTemplate(
    primary_container_name="primary",
    pod_spec=V1PodSpec(
        containers=[
            V1Container(
                name="primary",
                volume_mounts=[V1VolumeMount(name="data-volume", mount_path="/mnt/data", read_only=False)],
            )
        ],
        volumes=[
            V1Volume(
                name="data-volume",
                csi=V1CSIVolumeSource(driver="your-csi-driver", volume_attributes={"key": "value"}),
            )
        ],
    ),
)
BUCKET = PodTemplate(
    primary_container_name="primary",
    annotations={
        "gke-gcsfuse/volumes": "true",
        "gke-gcsfuse/cpu-limit": "2",
        "gke-gcsfuse/memory-limit": "1Gi",
    },
    pod_spec=V1PodSpec(
        containers=[
            V1Container(
                name="primary",
                volume_mounts=[V1VolumeMount(name="gcs", mount_path="/mnt/gcs")],
            )
        ],
        volumes=[
            V1Volume(
                name="gcs",
                csi=V1CSIVolumeSource(
                    driver="gcsfuse.csi.storage.gke.io",
                    volume_attributes={"bucketName": "my-bucket"},
                ),
            )
        ],
    ),
)
METRICS = PodTemplate(
    primary_container_name="primary",
    pod_spec=V1PodSpec(
        containers=[
            V1Container(name="primary"),
            V1Container(
                name="metrics-sidecar",
                image="prom/pushgateway:latest",
                ports=[cast("Any", {"containerPort": 9091})],
            ),
        ],
    ),
)
REGISTRY = PodTemplate(
    primary_container_name="primary",
    pod_spec=V1PodSpec(
        containers=[V1Container(name="primary")],
        image_pull_secrets=[V1LocalObjectReference(name="my-registry-secret")],
    ),
)
METADATA_ONLY = PodTemplate(
    primary_container_name="primary",
    annotations={
        "iam.amazonaws.com/role": "my-task-role",
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    },
    labels={"cost-center": "ml-team", "project": "recommendations"},
)
NAMED = PodTemplate(
    pod_spec=V1PodSpec(containers=[V1Container(name="my-primary-container", image=FLYTEKIT)]),
    primary_container_name="my-primary-container",
)
OVERRIDE = PodTemplate(
    pod_spec=V1PodSpec(
        containers=[
            V1Container(
                name="my-primary-container",
                image="my-custom-image:latest",
                command=["echo", "hello"],
                resources=V1ResourceRequirements(requests={"cpu": "100m"}),
            ),
        ]
    ),
    primary_container_name="my-primary-container",
)
SIDECAR_ONLY = PodTemplate(
    pod_spec=V1PodSpec(
        containers=[V1Container(name="my-sidecar", image="busybox", command=["sleep", "3600"])]
    ),
    primary_container_name="flyte-container",
)
SIDECARS = PodTemplate(
    pod_spec=V1PodSpec(
        containers=[
            V1Container(name="my-primary-container", image=FLYTEKIT),
            V1Container(
                name="data-fetcher",
                image="alpine/git",
                command=["git", "clone", "https://github.com/my-org/my-data.git", "/data"],
            ),
            V1Container(
                name="logger-agent",
                image="fluentd/fluentd:v1.14-debian",
                args=["-c", "/etc/fluentd/fluentd.conf"],
            ),
        ]
    ),
    primary_container_name="my-primary-container",
)
METADATA = PodTemplate(
    pod_spec=V1PodSpec(containers=[V1Container(name="my-primary-container", image=FLYTEKIT)]),
    primary_container_name="my-primary-container",
    labels={"environment": "production", "team": "data-science"},
    annotations={"kubernetes.io/description": "A critical data processing task"},
)
ALL = {
    "basic": BASIC,
    "volume": VOLUME,
    "bucket": BUCKET,
    "metrics": METRICS,
    "registry": REGISTRY,
    "metadata only": METADATA_ONLY,
    "named": NAMED,
    "override": OVERRIDE,
    "sidecar only": SIDECAR_ONLY,
    "sidecars": SIDECARS,
    "metadata": METADATA,
}

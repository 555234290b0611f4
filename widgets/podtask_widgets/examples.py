"""Templates to start from in the form. Pure."""

from __future__ import annotations

from collections.abc import Callable

from podtask.presets import gpu, sidecar
from podtask.template.template import PodTemplate


def _gpu_training() -> PodTemplate:
    primary = {
        "name": "primary",
        "image": "pytorch/pytorch:latest",
        "resources": {"requests": {"cpu": "4", "memory": "16Gi"}, "limits": {"memory": "16Gi"}},
    }
    return PodTemplate({"containers": [primary]}).with_(gpu(1))


def _with_redis() -> PodTemplate:
    return PodTemplate().with_(sidecar("redis", "redis:7", memory="256Mi", ports=[6379]))


EXAMPLES: dict[str, Callable[[], PodTemplate]] = {
    "GPU training": _gpu_training,
    "with Redis": _with_redis,
}

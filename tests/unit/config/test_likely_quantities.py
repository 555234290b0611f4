"""Quantities that are surely a mistake are refused with their likely meaning (row U7 of the cases of use)."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.error import UsageError
from podtask import PodTemplate
from podtask.config.options import RunOptions
from podtask.errors import InputError
from podtask.magics.arguments import parse_options
from podtask.presets import empty_dir, gpu, init, native_sidecar, sidecar
from podtask.template.validation import pod_problems, quantity_mistakes

# What is written, and what the message says.
BYTES: list[tuple[Any, str]] = [
    ("8", "8 bytes. Did you mean 8Gi?"),
    (8, "8 bytes. Did you mean 8Gi?"),
    (8.0, "8 bytes. Did you mean 8Gi?"),
    ("1.5", "1.5 bytes. Did you mean 1.5Gi?"),
    ("512", "512 bytes. Did you mean 512Mi?"),
    ("16384", "16384 bytes. Did you mean 16384Mi?"),
    ("1000000", "1000000 bytes. Did you mean 1000000Ki?"),
    ("512m", "0.512 bytes. Did you mean 512Mi?"),
    ("512k", "512000 bytes. Did you mean 512Mi?"),
    ("8Ki", "8192 bytes. Did you mean 8Mi?"),
    ("8e3", "8000 bytes. Did you mean 8000Mi?"),
    ("0", "0 bytes."),
    ("8GB", "'8GB' is not a quantity. Did you mean 8Gi?"),
    ("8gb", "'8gb' is not a quantity. Did you mean 8Gi?"),
    ("8g", "'8g' is not a quantity. Did you mean 8Gi?"),
    ("8 Gi", "'8 Gi' is not a quantity. Did you mean 8Gi?"),
    ("8 GiB", "'8 GiB' is not a quantity. Did you mean 8Gi?"),
    ("1,5", "'1,5' is not a quantity. Did you mean 1.5Gi?"),
    ("1,5Gi", "'1,5Gi' is not a quantity. Did you mean 1.5Gi?"),
    ("1,000Mi", "'1,000Mi' is not a quantity. Did you mean 1000Mi?"),
    ("٨Gi", "'٨Gi' is not a quantity."),
]
CPUS: list[tuple[Any, str]] = [
    ("1000", "1000 CPUs. Did you mean 1000m?"),
    (1000, "1000 CPUs. Did you mean 1000m?"),
    ("2000.0", "2000 CPUs. Did you mean 2000m?"),
    ("2Gi", "2147483648 CPUs. Did you mean 2?"),
    ("2k", "2000 CPUs. Did you mean 2?"),
    ("1,5", "'1,5' is not a quantity. Did you mean 1.5?"),
    ("2 cores", "'2 cores' is not a quantity. Did you mean 2?"),
    ("2vCPU", "'2vCPU' is not a quantity. Did you mean 2?"),
]
GPUS: list[tuple[Any, str]] = [
    ("0.5", "'0.5' is not a whole number of GPUs. Did you mean 1?"),
    (0.5, "'0.5' is not a whole number of GPUs. Did you mean 1?"),
    ("1.5", "'1.5' is not a whole number of GPUs. Did you mean 2?"),
    ("1,5", "'1,5' is not a whole number of GPUs. Did you mean 2?"),
    ("2.0", "'2.0' is not a whole number of GPUs. Did you mean 2?"),
    ("1/2", "'1/2' is not a whole number of GPUs. Did you mean 1?"),
    ("500m", "'500m' is not a whole number of GPUs. Did you mean 1?"),
    ("50%", "'50%' is not a whole number of GPUs. Did you mean 1?"),
    (True, "True is not a positive whole number."),
]
CASES = [
    *[(option, *case) for option in ("memory", "shm") for case in BYTES],
    *[("cpu", *case) for case in CPUS],
    *[("gpu", *case) for case in GPUS],
    ("max_input", "8", "8 bytes. Did you mean 8Gi?"),
    ("max_input", "256", "256 bytes. Did you mean 256Mi?"),
    ("max_input", "256MB", "'256MB' is not a quantity. Did you mean 256Mi?"),
]
PRESETS = {
    "sidecar": lambda **fields: sidecar("redis", "redis:7", **fields),
    "native sidecar": lambda **fields: native_sidecar("redis", "redis:7", **fields),
    "init container": lambda **fields: init("fetch", "alpine", **fields),
}


@pytest.mark.parametrize(("option", "given", "said"), CASES)
def test_an_option_is_refused(option: str, given: Any, said: str) -> None:
    """U7: every option that takes a quantity says what was written and what was probably meant."""
    with pytest.raises(InputError) as caught:
        RunOptions.of(**{option: given})
    assert said in caught.value.message
    assert caught.value.message.startswith(f"--{option.replace('_', '-')}: ")
    assert caught.value.hint.startswith(("Write", "A pod"))


@pytest.mark.parametrize(("option", "given", "said"), [case for case in CASES if isinstance(case[1], str)])
def test_the_line_of_a_magic_is_refused(option: str, given: str, said: str) -> None:
    """U7: the same on the line of a magic, also with a blank before the unit."""
    words = [f"--{option.replace('_', '-')}", *given.split()]
    with pytest.raises((InputError, UsageError)) as caught:
        RunOptions.of(**parse_options(words))
    meant = said.partition("Did you mean ")[2].rstrip("?")
    assert meant in str(caught.value)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    ("resource", "given", "said"),
    [*[("memory", *each) for each in BYTES], *[("cpu", *each) for each in CPUS]],
)
def test_a_container_of_a_preset_is_refused(preset: str, resource: str, given: Any, said: str) -> None:
    """U7: ``with_`` refuses containers with such quantities and names the container."""
    with pytest.raises(InputError) as caught:
        PodTemplate().with_(PRESETS[preset](**{resource: given}))
    assert said in caught.value.message
    assert caught.value.message.startswith(f"{resource} of container ")


@pytest.mark.parametrize(("given", "said"), GPUS)
def test_gpus_of_a_preset_are_refused(given: Any, said: str) -> None:
    """U7: ``with_(gpu(0.5))`` is refused."""
    with pytest.raises(InputError) as caught:
        PodTemplate().with_(gpu(given))
    assert caught.value.message == f"nvidia.com/gpu: {said}"


@pytest.mark.parametrize(("given", "said"), [case for case in BYTES if case[0]])
def test_size_of_a_preset_is_refused(given: Any, said: str) -> None:
    """U7: ``with_(empty_dir(..., size="2"))`` is refused."""
    with pytest.raises(InputError) as caught:
        PodTemplate().with_(empty_dir("/scratch", size=given))
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("option", "given"),
    [
        *[("memory", each) for each in ("1Mi", "8Gi", "8G", "1.5Gi", "1e9", 8 * 2**30, "2000000000m")],
        *[("cpu", each) for each in ("1", "0.5", "100m", "128", 256, "448000m")],
        *[("gpu", each) for each in (1, "8", "4000")],
        *[("max_input", each) for each in ("100k", "1Mi", "5000000")],
    ],
)
def test_a_plausible_quantity_is_kept(option: str, given: Any) -> None:
    """U7: what can be meant is taken as it is written: large machines, bytes in full, small limits of the input."""
    assert str(getattr(RunOptions.of(**{option: given}), option)) == str(given)


def test_mistakes_of_a_template_are_found_with_their_paths() -> None:
    """U7: in a whole template, each such quantity is found at its path; the API server takes the template."""
    spec = {
        "containers": [
            {"name": "primary", "image": "a", "resources": {"limits": {"memory": 8, "cpu": "1000m"}}},
            {
                "name": "side",
                "image": "b",
                "resources": {"requests": {"cpu": 1000, "ephemeral-storage": "20"}},
            },
        ],
        "volumes": [{"name": "shm", "emptyDir": {"sizeLimit": "64"}}, {"name": "data", "emptyDir": {}}],
    }
    assert [(each.path, each.message) for each in quantity_mistakes(spec)] == [
        ("spec.volumes[0].emptyDir.sizeLimit", "is 64 bytes. Did you mean 64Gi?"),
        ("spec.containers[0].resources.limits.memory", "is 8 bytes. Did you mean 8Gi?"),
        ("spec.containers[1].resources.requests.cpu", "is 1000 CPUs. Did you mean 1000m?"),
        ("spec.containers[1].resources.requests.ephemeral-storage", "is 20 bytes. Did you mean 20Gi?"),
    ]
    assert list(pod_problems(spec)) == []


@pytest.mark.parametrize("value", ["0.5", 0.5, "500m", "1.5"])
def test_a_share_of_a_device_is_a_problem_of_the_template(value: Any) -> None:
    """U7: the API server takes only whole devices, so a share is an error with the whole number."""
    limits = {"nvidia.com/gpu": value}
    spec = {"containers": [{"name": "primary", "image": "a", "resources": {"limits": limits}}]}
    (problem,) = pod_problems(spec)
    assert problem.path == "spec.containers[0].resources.limits.nvidia.com/gpu"
    assert "not a whole number. Did you mean" in problem.message

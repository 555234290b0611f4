"""Resources of the primary container: options merged with the template, and what a GPU needs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from podtask.config.quantities import to_decimal
from podtask.errors import InputError

from tests.unit.manifest.test_render import primary_of, spec_of


@pytest.mark.feature("A40")
@pytest.mark.parametrize(
    ("options", "requests", "limits"),
    [
        ({}, {"cpu": "1", "memory": "1Gi", "x/y": "1"}, {"memory": "2Gi", "x/y": "1"}),
        ({"cpu": "3"}, {"cpu": "3", "memory": "1Gi", "x/y": "1"}, {"memory": "2Gi", "x/y": "1"}),
        ({"memory": "4Gi"}, {"cpu": "1", "memory": "4Gi", "x/y": "1"}, {"memory": "4Gi", "x/y": "1"}),
        (
            {"gpu": 2, "gpu_key": "x/y"},
            {"cpu": "1", "memory": "1Gi", "x/y": "2"},
            {"memory": "2Gi", "x/y": "2"},
        ),
    ],
    ids=["template", "cpu", "memory", "gpu"],
)
def test_resources_are_merged_per_key(
    options: dict[str, Any], requests: dict[str, str], limits: dict[str, str]
) -> None:
    """--cpu sets a request, --memory both, --gpu the limit and an existing request; other keys are kept."""
    given = {
        "requests": {"cpu": "1", "memory": "1Gi", "x/y": "1"},
        "limits": {"memory": "2Gi", "x/y": "1"},
    }
    found = primary_of({"resources": given}, **options)["resources"]
    assert found == {"requests": requests, "limits": limits}


@pytest.mark.feature("A40")
@pytest.mark.parametrize(
    ("resources", "options", "words"),
    [
        ({"requests": {"memory": "3Gi"}, "limits": {"memory": "3000Mi"}}, {}, "3Gi of memory"),
        ({"limits": {"cpu": "1500m"}}, {"cpu": "2"}, "2 of cpu, which is over the limit of 1500m"),
        ({"requests": {"x/y": 5}, "limits": {"x/y": 4}}, {}, "5 of x/y"),
    ],
)
def test_request_above_its_limit_is_an_error(
    resources: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    """An error names the key and both values of a request above its limit."""
    with pytest.raises(InputError, match=words) as caught:
        primary_of({"resources": resources}, **options)
    assert len(str(caught.value).splitlines()) == 2


def test_request_equal_to_its_limit_is_valid() -> None:
    """A request that equals its limit in other units is valid."""
    given = {
        "requests": {"memory": "1024Mi", "cpu": 1},
        "limits": {"memory": "1Gi", "cpu": "1000m"},
    }
    assert primary_of({"resources": given})["resources"] == given


def test_toleration_and_shared_memory_of_the_template_stay() -> None:
    """A toleration or shared memory of the template is not added again for a GPU."""
    toleration = {"key": "nvidia.com/gpu", "operator": "Equal", "value": "a100"}
    mount = {"name": "mine", "mountPath": "/dev/shm"}
    volume = {"name": "mine", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}
    given = {
        "containers": [{"name": "primary", "volumeMounts": [mount]}],
        "tolerations": [toleration],
        "volumes": [volume],
    }
    spec = spec_of(given, gpu=1)
    found = (spec["tolerations"], spec["containers"][0]["volumeMounts"], spec["volumes"])
    assert found == ([toleration], [mount], [volume])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", "1"),
        ("500m", "0.5"),
        ("1k", "1000"),
        ("1Ki", "1024"),
        ("1.5Gi", "1610612736"),
        ("2e3", "2000"),
        ("1E", "1e18"),
        (4, "4"),
        ("100n", "1e-7"),
        ("-1", "-1"),
    ],
)
def test_amount_of_a_quantity(text: Any, number: str) -> None:
    """A quantity is converted exactly."""
    assert to_decimal(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "8GB", "Gi", "one", None])
def test_invalid_quantity_has_no_amount(text: Any) -> None:
    """Anything that is not a quantity is an error."""
    with pytest.raises(InputError, match="not a quantity"):
        to_decimal(text)

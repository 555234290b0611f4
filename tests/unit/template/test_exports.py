"""Source that ``to_python`` and ``to_flyte`` write runs, whatever the template contains."""

from __future__ import annotations

import datetime as dt

import pytest
from podtask import PodTemplate

from tests.unit.template.test_documents import from_flyte

ODD = PodTemplate(
    {
        "containers": [
            {
                "name": "primary",
                "resources": {"limits": {"cpu": 1, "memory": 2.5e9, "nvidia.com/gpu": 2}},
                "livenessProbe": {"httpGet": {"port": 8080}},
                "env": [{"name": "DAY", "value": dt.date(2024, 1, 1)}],
            }
        ],
        "overhead": {"cpu": 1},
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": 1024}}],
    },
    annotations={"since": "2024-01-01"},
)


@pytest.mark.pod("P11")
def test_flyte_source_runs_here() -> None:
    """The strict models of the client in use accept the source; newer fields are comments in one line."""
    template = ODD.replace(pod_spec={**ODD.pod_spec, "newer\nraise SystemExit": {"a": dt.date(2024, 1, 1)}})
    source = template.to_flyte()
    assert "# Not in this version of the client library: 'spec.newer\\nraise SystemExit'\n" in source
    assert from_flyte(source).pod_spec["overhead"] == {"cpu": "1"}


@pytest.mark.pod("P11")
def test_python_source_of_dates_and_unknown_fields() -> None:
    """Dates are text in the source, and fields of a newer API are kept."""
    spec = {
        "containers": [{"name": "primary", "newField": [dt.datetime(2024, 1, 1, 10), {"x": None, "y": 1.5}]}],
        "fromTheFuture": {"since": dt.date(2024, 1, 1), "quoted": 'a "b"\n', "on": True},
    }
    template = PodTemplate(spec, annotations={"since": dt.date(2024, 1, 1)})  # type: ignore[dict-item]
    assert eval(template.to_python(), {"PodTemplate": PodTemplate}) == template
    assert "2024-01-01T10:00:00" in template.to_python()

"""What the API server accepts is accepted in every form: YAML, a dict, models and the form's draft."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from kubernetes import client
from podtask import PodTemplate
from podtask.errors import InputError
from podtask_widgets.draft import Draft
from podtask_widgets.validation import validate

from tests.unit.manifest.test_render import rendered

# A pod as people write it, and what kubectl sends for it.
YAML = """
apiVersion: v1
kind: Pod
metadata:
  labels: {team: , since: 2024-01-01}
  annotations:
spec:
  nodeSelector:
  securityContext:
  containers:
  - name: primary
    image: python:3.11-slim
    tty: y
    stdin: N
    args: [=, 12:30, 2024-01-01, <<, ~]
    env:
    - {name: DAY, value: 2024-01-01}
    - {name: AT, value: 12:30}
    - {name: NOTHING, value: }
    ports:
    - {containerPort: 8080, name: http}
    - {containerPort: 8080, name: metrics}
    resources:
      limits:
      requests: {cpu: 1.0, memory: " 64Mi"}
    volumeMounts:
    - {name: scratch, mountPath: /scratch}
    - {name: settings, mountPath: /etc/app}
  terminationGracePeriodSeconds: 30.0
  tolerations:
  - {operator: Exists, effect: NoExecute, tolerationSeconds: 1e2}
  volumes:
  - name: scratch
    emptyDir:
  - name: settings
    configMap: {name: settings, defaultMode: 0o400}
  - name: keys
    secret: {secretName: keys, defaultMode: 0440}
"""
PORTS = [{"containerPort": 8080, "name": "http"}, {"containerPort": 8080, "name": "metrics"}]
NO_SOURCE = "spec.volumes[0] (scratch) has no source: it is an emptyDir"


@pytest.mark.pod("P7")
def test_yaml_has_the_values_that_kubectl_sends(tmp_path: Path) -> None:
    """Null fields, dates, times, ``=`` and octal numbers of a file are what they are for kubectl."""
    file = tmp_path / "pod.yaml"
    file.write_text(YAML)
    template = PodTemplate.of(file)
    assert template == PodTemplate.of(YAML)
    assert template.labels == {"team": "", "since": "2024-01-01"}
    assert template.pod_spec == {
        "containers": [
            {
                "name": "primary",
                "image": "python:3.11-slim",
                "tty": True,
                "stdin": False,
                "args": ["=", "12:30", "2024-01-01", "<<", ""],
                "env": [
                    {"name": "DAY", "value": "2024-01-01"},
                    {"name": "AT", "value": "12:30"},
                    {"name": "NOTHING"},
                ],
                "ports": PORTS,
                "resources": {"requests": {"cpu": 1, "memory": " 64Mi"}},
                "volumeMounts": [
                    {"name": "scratch", "mountPath": "/scratch"},
                    {"name": "settings", "mountPath": "/etc/app"},
                ],
            }
        ],
        "terminationGracePeriodSeconds": 30,
        "tolerations": [{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 100}],
        "volumes": [
            {"name": "scratch"},
            {"name": "settings", "configMap": {"name": "settings", "defaultMode": 0o400}},
            {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o440}},
        ],
    }
    assert NO_SOURCE in rendered(template).notices
    assert PodTemplate.of(template.to_yaml()) == template
    assert validate(Draft(template)).problems == ()


@pytest.mark.pod("P7")
def test_dict_has_the_same_values() -> None:
    """A dict with None, dates and octal numbers gives the same pod."""
    given = {
        "nodeSelector": None,
        "containers": [
            {
                "name": "primary",
                "env": [{"name": "DAY", "value": dt.date(2024, 1, 1)}, {"name": "NOTHING", "value": None}],
                "ports": PORTS,
                "resources": {"limits": {"cpu": None}, "requests": None},
            }
        ],
        "volumes": [{"name": "scratch", "emptyDir": None}],
    }
    template = PodTemplate(given, labels={"team": None, "since": dt.date(2024, 1, 1)})  # type: ignore[dict-item]
    assert template.labels == {"team": "", "since": "2024-01-01"}
    (container,) = template.pod_spec["containers"]
    assert container["env"] == [{"name": "DAY", "value": "2024-01-01"}, {"name": "NOTHING"}]
    assert container["resources"] == {"limits": {"cpu": "0"}}
    assert template.pod_spec["volumes"] == [{"name": "scratch"}]
    assert NO_SOURCE in rendered(template).notices
    assert validate(Draft(template)).problems == ()


@pytest.mark.pod("P7")
def test_models_have_the_same_values() -> None:
    """Models with None give the same pod."""
    ports = [client.V1ContainerPort(container_port=8080, name=name) for name in ("http", "metrics")]
    spec = client.V1PodSpec(
        containers=[
            client.V1Container(
                name="primary", ports=ports, resources=client.V1ResourceRequirements(limits=None)
            )
        ],
        volumes=[client.V1Volume(name="scratch", empty_dir=None)],
    )
    template = PodTemplate(spec)
    assert template.pod_spec["volumes"] == [{"name": "scratch"}]
    assert rendered(template).primary_container["ports"] == PORTS
    assert validate(Draft(template)).problems == ()


@pytest.mark.pod("P7")
@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"a", "b"}, "containers[0].newField is of type set"),
        (b"x", "containers[0].newField is of type bytes"),
        (float("nan"), "containers[0].newField is nan"),
        ([{"deep": float("inf")}], "containers[0].newField[0].deep is inf"),
    ],
)
def test_value_without_a_json_form_is_named(value: object, says: str) -> None:
    """A value that JSON does not have is an error that names its field, also in a field that is not known."""
    with pytest.raises(InputError) as caught:
        PodTemplate({"containers": [{"name": "primary", "newField": value}]})
    assert caught.value.message.startswith(says)


@pytest.mark.pod("P7")
def test_odd_quantity_is_a_notice_in_a_template_and_an_error_in_an_option() -> None:
    """``memory: 8`` of a template is what the user wrote; --memory 8 is a mistake."""
    resources = {"limits": {"memory": 8}}
    notices = rendered({"containers": [{"name": "primary", "resources": resources}]}).notices
    assert "spec.containers[0].resources.limits.memory is 8 bytes. Did you mean 8Gi?" in notices
    with pytest.raises(InputError, match="Did you mean 8Gi"):
        rendered(None, memory="8")


@pytest.mark.pod("P7")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("0o17", 15), ("017", 15), ("-0x1F", -31), ("0b11", 3), ("1_000", 1000), ("0", 0), ("+7", 7)),
        *(
            ("1.5", 1.5),
            ("2.0", 2),
            (".5", 0.5),
            ("1:30", "1:30"),
            ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z"),
        ),
        *(("1e3", "1e3"), ("72225e2", "72225e2"), ("=", "="), ("on", True), ("08", "08")),
    ],
)
def test_scalars_have_the_types_of_kubectl(text: str, value: object) -> None:
    """Numbers are read as kubectl reads them; what earlier versions of podtask wrote unquoted stays text."""
    found = PodTemplate.of(f"spec:\n  newField: {{a: {text}}}\n  containers: []\n").pod_spec["newField"]["a"]
    assert (found, type(found)) == (value, type(value))

"""No way through the form loses a field: random pods, generated from the API's schema, and the presets."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from podtask import PodTemplate, presets
from podtask.template.schema import type_fields
from podtask_widgets import TemplateBuilder

from tests.widgets.user import TITLES, User

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
QUANTITIES = st.sampled_from(["1", "500m", "2Gi"])
UNKNOWN_FIELDS = st.dictionaries(st.just("aFieldOfTomorrow"), st.lists(TEXTS, max_size=2), max_size=1)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "": TEXTS,
    "int": st.integers(0, 9999),
    "bool": st.booleans(),
    "quantity": QUANTITIES,
    "map": st.dictionaries(NAMES, TEXTS, min_size=1, max_size=2),
    "quantities": st.dictionaries(
        st.sampled_from(["cpu", "memory", "nvidia.com/gpu"]), QUANTITIES, min_size=1
    ),
}
MAX_DEPTH, MAX_FIELDS = 4, 5
NAMED_KINDS = ("Volume", "EnvVar")  # they need a name, as containers do


def values(kind: str, depth: int) -> st.SearchStrategy[Any]:
    """Generate values of a kind of the schema, including fields that the schema does not know."""
    if kind.endswith("*"):
        return st.lists(values(kind[:-1], depth), min_size=1, max_size=2)
    if kind in SCALARS or not type_fields(kind):
        return SCALARS.get(kind, TEXTS)
    return st.deferred(lambda: _objects(kind, depth))


@st.composite
def _objects(draw: st.DrawFn, kind: str, depth: int) -> dict[str, Any]:
    schema = type_fields(kind)
    names = [name for name, each in schema.items() if depth or each.rstrip("*") in SCALARS]
    chosen = (
        draw(st.lists(st.sampled_from(names), min_size=1, max_size=MAX_FIELDS, unique=True)) if names else []
    )
    generated = {name: draw(values(schema[name], depth - 1)) for name in chosen}
    if kind in NAMED_KINDS:
        generated["name"] = draw(NAMES)
    return {**generated, **draw(UNKNOWN_FIELDS)}


@st.composite
def templates(draw: st.DrawFn) -> PodTemplate:
    """Generate any template; only the names of its containers are given."""
    spec = draw(_objects("PodSpec", MAX_DEPTH))
    count = draw(st.integers(0, 2))
    others = [{**draw(_objects("Container", MAX_DEPTH - 1)), "name": f"side-{n}"} for n in range(count)]
    spec["containers"] = [{**draw(_objects("Container", MAX_DEPTH - 1)), "name": "primary"}, *others]
    if "initContainers" in spec:
        spec["initContainers"] = [
            {**each, "name": f"init-{n}"} for n, each in enumerate(spec["initContainers"])
        ]
    metadata = st.dictionaries(NAMES, TEXTS, max_size=2)
    return PodTemplate(spec, labels=draw(metadata), annotations=draw(metadata))


def check_round_trips(template: PodTemplate) -> None:
    """Convert a template to each form and back; fail if it changes."""
    wire = template.to_dict()
    builder = TemplateBuilder(template)
    user = User(builder)
    for title in TITLES:  # showing a page changes nothing
        user.open(title)
    assert builder.template.to_dict() == wire
    text = user.input("Template (YAML)").value  # form -> YAML -> form
    builder.template = PodTemplate()
    user.write("Template (YAML)", text)
    assert builder.template.to_dict() == wire
    written = eval(builder.template.to_python(), {"PodTemplate": PodTemplate})  # form -> code -> form
    assert TemplateBuilder(written).template.to_dict() == wire
    assert TemplateBuilder(template.to_yaml()).template.to_dict() == wire


@pytest.mark.feature("A48")
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(templates())
def test_any_template_survives_round_trips(template: PodTemplate) -> None:
    """No field is lost from form to YAML to form or from code to form to code, known to the API or not."""
    check_round_trips(template)


PRESETS = {
    "gpu": presets.gpu(2),
    "pvc": presets.pvc("claim", "/data", read_only=True),
    "gcs_fuse": presets.gcs_fuse("bucket", "/gcs"),
    "s3": presets.s3("bucket", "/s3", driver="s3.csi.example"),
    "s3 by claim": presets.s3("bucket", "/s3", claim="bucket"),
    "empty_dir": presets.empty_dir("/scratch"),
    "host_path": presets.host_path("/var/data", "/data"),
    "config_map": presets.config_map("settings", "/etc/app", items={"a": "b"}),
    "secret": presets.secret("keys", "/keys"),
    "env_from_secret": presets.env_from_secret("keys", TOKEN="token"),
    "env_from_config_map": presets.env_from_config_map("settings"),
    "sidecar": presets.sidecar("redis", "redis:7", memory="1Gi", ports=[6379], env={"A": "b"}),
    "native_sidecar": presets.native_sidecar("proxy", "envoy"),
    "init": presets.init("fetch", "alpine/git", command=["git", "clone"]),
    "spot": presets.spot("gke"),
    "restricted": presets.restricted(),
    "image_pull_secret": presets.image_pull_secret("regcred"),
    "service_account": presets.service_account("runner"),
}


def test_every_preset_is_tested() -> None:
    """The table above contains every preset."""
    functions = {
        name
        for name, each in vars(presets).items()
        if inspect.isfunction(each)
        and not name.startswith("_")
        and each.__annotations__.get("return") == "Preset"
    }
    assert functions == {name.partition(" ")[0] for name in PRESETS}


@pytest.mark.parametrize("name", PRESETS)
def test_any_preset_survives_round_trips(name: str) -> None:
    """A template with a preset is the same after each round trip."""
    check_round_trips(PodTemplate(labels={"a": "b"}).with_(PRESETS[name]))

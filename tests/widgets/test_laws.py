"""Nothing is lost on any way through the form: random pods by the API's own table, and the presets."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from podtask import PodTemplate, presets
from podtask.template.schema import fields
from podtask_widgets import TemplateBuilder

from tests.widgets.user import TITLES, User

WORD = st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
QUANTITY = st.sampled_from(["1", "500m", "2Gi"])
NEWER = st.dictionaries(st.just("aFieldOfTomorrow"), st.lists(TEXT, max_size=2), max_size=1)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "": TEXT,
    "int": st.integers(0, 9999),
    "bool": st.booleans(),
    "quantity": QUANTITY,
    "map": st.dictionaries(WORD, TEXT, min_size=1, max_size=2),
    "quantities": st.dictionaries(st.sampled_from(["cpu", "memory", "nvidia.com/gpu"]), QUANTITY, min_size=1),
}
DEPTH, MOST = 4, 5
NAMED = ("Volume", "EnvVar")  # and containers: without a name it is no template


def values(kind: str, depth: int) -> st.SearchStrategy[Any]:
    """Values of a kind of the table, a field that it does not have among them."""
    if kind.endswith("*"):
        return st.lists(values(kind[:-1], depth), min_size=1, max_size=2)
    if kind in SCALARS or not fields(kind):
        return SCALARS.get(kind, TEXT)
    return st.deferred(lambda: _objects(kind, depth))


@st.composite
def _objects(draw: st.DrawFn, kind: str, depth: int) -> dict[str, Any]:
    listed = fields(kind)
    names = [name for name, each in listed.items() if depth or each.rstrip("*") in SCALARS]
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=MOST, unique=True)) if names else []
    made = {name: draw(values(listed[name], depth - 1)) for name in chosen}
    if kind in NAMED:
        made["name"] = draw(WORD)
    return {**made, **draw(NEWER)}


@st.composite
def templates(draw: st.DrawFn) -> PodTemplate:
    """Any template that there may be: the containers' names are all that it has to have."""
    spec = draw(_objects("PodSpec", DEPTH))
    count = draw(st.integers(0, 2))
    others = [{**draw(_objects("Container", DEPTH - 1)), "name": f"side-{n}"} for n in range(count)]
    spec["containers"] = [{**draw(_objects("Container", DEPTH - 1)), "name": "primary"}, *others]
    if "initContainers" in spec:
        spec["initContainers"] = [
            {**each, "name": f"init-{n}"} for n, each in enumerate(spec["initContainers"])
        ]
    metadata = st.dictionaries(WORD, TEXT, max_size=2)
    return PodTemplate(spec, labels=draw(metadata), annotations=draw(metadata))


def ways(template: PodTemplate) -> None:
    """Takes a template over all ways; fails where one loses something."""
    wire = template.to_dict()
    builder = TemplateBuilder(template)
    user = User(builder)
    for title in TITLES:  # a page that is shown changes nothing
        user.open(title)
    assert builder.template.to_dict() == wire
    text = user.input("The whole template").value  # form -> YAML -> form
    builder.template = PodTemplate()
    user.write("The whole template", text)
    assert builder.template.to_dict() == wire
    written = eval(builder.template.to_python(), {"PodTemplate": PodTemplate})  # form -> code -> form
    assert TemplateBuilder(written).template.to_dict() == wire
    assert TemplateBuilder(yaml.safe_dump(wire)).template.to_dict() == wire


@pytest.mark.feature("A48")
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(templates())
def test_any_template_comes_back(template: PodTemplate) -> None:
    """Form to YAML to form, code to form to code: whatever the API knows, and what it does not."""
    ways(template)


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


def test_presets_are_all_here() -> None:
    """None is left out."""
    made = {
        name
        for name, each in vars(presets).items()
        if inspect.isfunction(each)
        and not name.startswith("_")
        and each.__annotations__.get("return") == "Preset"
    }
    assert made == {name.partition(" ")[0] for name in PRESETS}


@pytest.mark.parametrize("name", PRESETS)
def test_any_preset_comes_back(name: str) -> None:
    """The same of each preset."""
    ways(PodTemplate(labels={"a": "b"}).with_(PRESETS[name]))

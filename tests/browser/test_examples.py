"""Every example of the first document is built by clicking and typing, and is its code's template."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.form import Form
from tests.unit.seeds import BASIC, BUCKET, METADATA_ONLY, METRICS, REGISTRY, VOLUME

OPEN = "from podtask_widgets import TemplateBuilder\nb = TemplateBuilder()\nb"


@pytest.fixture(scope="module")
def notebook(open_notebook: Callable[..., Any]) -> Any:
    """A notebook with one cell, which shows a form."""
    return open_notebook(OPEN)


@pytest.fixture
def form(notebook: Any) -> Form:
    """A form that begins with nothing."""
    notebook.run(0)
    return Form(notebook.page)


def pairs(form: Form, noun: str, given: Any) -> None:
    """Adds labels, annotations or attributes."""
    for number, (key, value) in enumerate((given or {}).items(), 1):
        form.click(f"Add {noun}")
        form.write(f"{noun} {number}, key", key)
        form.write(f"{noun} {number}, value", value)


def csi(form: Form, name: str, driver: str, attributes: dict[str, str], path: str) -> None:
    """Adds a CSI volume and its mount."""
    form.open("Volumes")
    form.click("Add volume")
    form.write("Volume 1", name)
    form.choose("Kind", "CSI driver")
    form.write("Driver", driver)
    pairs(form, "attribute", attributes)
    form.click("Add mount")
    form.write("Mount 1, volume", name)
    form.write("Mount 1, path", path)


@pytest.mark.feature("B01")
def test_basic_usage(form: Form) -> None:
    """Labels, annotations, a variable and a pull secret."""
    form.open("Metadata")
    pairs(form, "label", BASIC.labels)
    pairs(form, "annotation", BASIC.annotations)
    form.open("Environment")
    form.click("Add variable")
    form.write("Variable 1, name", "hello")
    form.write("Variable 1, value", "world")
    form.open("Security")
    form.click("Add pull secret")
    form.write("Pull secret 1", "regcred-test")
    form.shows(BASIC.to_dict())


def test_volume_mounts(form: Form) -> None:
    """A CSI volume, mounted for reading and writing."""
    csi(form, "data-volume", "your-csi-driver", {"key": "value"}, "/mnt/data")
    form.choose("Mount 1, access", "read and write")
    form.shows(VOLUME.to_dict())


def test_bucket(form: Form) -> None:
    """A bucket of Cloud Storage: volume and annotations."""
    csi(form, "gcs", "gcsfuse.csi.storage.gke.io", {"bucketName": "my-bucket"}, "/mnt/gcs")
    form.open("Metadata")
    pairs(form, "annotation", BUCKET.annotations)
    form.shows(BUCKET.to_dict())


def test_sidecar(form: Form) -> None:
    """A metrics gateway beside the cell."""
    form.open("Sidecars")
    form.click("Add sidecar")
    form.write("Sidecar 1", "metrics-sidecar")
    form.write("Image", "prom/pushgateway:latest")
    form.click("Add port")
    form.write("Port 1", "9091")
    form.shows(METRICS.to_dict())


def test_pull_secret(form: Form) -> None:
    """A private registry."""
    form.open("Security")
    form.click("Add pull secret")
    form.write("Pull secret 1", "my-registry-secret")
    form.shows(REGISTRY.to_dict())


def test_metadata_alone(form: Form) -> None:
    """Labels and annotations of the cluster's, and no pod spec."""
    form.open("Metadata")
    pairs(form, "label", METADATA_ONLY.labels)
    pairs(form, "annotation", METADATA_ONLY.annotations)
    form.shows(METADATA_ONLY.to_dict())

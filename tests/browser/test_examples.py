"""Each example template, built by clicking and typing, equals the template of the code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.form import Form
from tests.unit.document_templates import BASIC, BUCKET, METADATA_ONLY, METRICS, REGISTRY, VOLUME
from tests.widgets.form_steps import add_csi_volume, add_metrics_sidecar, add_pairs

OPEN = "from podtask_widgets import TemplateBuilder\nb = TemplateBuilder()\nb"


@pytest.fixture(scope="module")
def notebook(open_notebook: Callable[..., Any]) -> Any:
    """Return a notebook with one cell, which shows a form."""
    return open_notebook(OPEN)


@pytest.fixture
def form(notebook: Any) -> Form:
    """Return an empty form."""
    notebook.run(0)
    return Form(notebook.page)


@pytest.mark.feature("B01")
def test_basic_usage(form: Form) -> None:
    """Labels, annotations, a variable and a pull secret can be entered."""
    form.open("Metadata")
    add_pairs(form, "label", BASIC.labels)
    add_pairs(form, "annotation", BASIC.annotations)
    form.open("Environment")
    form.click("Add variable")
    form.write("Variable 1, name", "hello")
    form.write("Variable 1, value", "world")
    form.open("Security")
    form.click("Add pull secret")
    form.write("Pull secret 1", "regcred-test")
    form.wait_for_template(BASIC.to_dict())


def test_volume_mounts(form: Form) -> None:
    """A CSI volume with a writable mount can be entered."""
    add_csi_volume(form, "data-volume", "your-csi-driver", {"key": "value"}, "/mnt/data")
    form.choose("Mount 1, access", "read and write")
    form.wait_for_template(VOLUME.to_dict())


def test_bucket(form: Form) -> None:
    """The volume and annotations of a Cloud Storage bucket can be entered."""
    add_csi_volume(form, "gcs", "gcsfuse.csi.storage.gke.io", {"bucketName": "my-bucket"}, "/mnt/gcs")
    form.open("Metadata")
    add_pairs(form, "annotation", BUCKET.annotations)
    form.wait_for_template(BUCKET.to_dict())


def test_sidecar(form: Form) -> None:
    """A metrics gateway can be entered as a sidecar."""
    add_metrics_sidecar(form)
    form.wait_for_template(METRICS.to_dict())


def test_pull_secret(form: Form) -> None:
    """The pull secret of a private registry can be entered."""
    form.open("Security")
    form.click("Add pull secret")
    form.write("Pull secret 1", "my-registry-secret")
    form.wait_for_template(REGISTRY.to_dict())


def test_metadata_alone(form: Form) -> None:
    """Labels and annotations can be entered without a pod spec."""
    form.open("Metadata")
    add_pairs(form, "label", METADATA_ONLY.labels)
    add_pairs(form, "annotation", METADATA_ONLY.annotations)
    form.wait_for_template(METADATA_ONLY.to_dict())

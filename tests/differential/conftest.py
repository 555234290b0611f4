"""Fixtures for the ways of running cells; each queues all its selected cells at the start."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster.images import MATRIX_RECIPES
from tests.differential.cases import Case
from tests.differential.cell_runner import CellRunner
from tests.differential.libraries import library_environment
from tests.pods.conftest import in_namespace


def selected_cases(request: pytest.FixtureRequest, test: str, **wanted: Any) -> list[Case]:
    """Return the cells of the selected tests with a name that are not skipped, in their order."""
    found = []
    for item in request.session.items:
        spec = getattr(item, "callspec", None)
        if spec is None or getattr(item, "originalname", "") != test or item.get_closest_marker("skip"):
            continue
        if all(spec.params.get(key) == value for key, value in wanted.items()):
            found.append(spec.params["case"])
    return found


@pytest.fixture(scope="session")
def notebook_env(pytestconfig: pytest.Config) -> dict[str, str]:
    """Return the environment of the notebooks; that of `make matrix` and `make differential` has all libraries."""
    if pytestconfig.getoption("--matrix") or "PODTASK_DIFFERENTIAL" in os.environ:
        return library_environment()
    return dict(os.environ)


@pytest.fixture(scope="session")
def plain_kernel(notebook_env: dict[str, str]) -> Iterator[CellRunner]:
    """Return the reference: a kernel without podtask.

    The other fixtures queue the cells that they compare.
    """
    made = CellRunner("# placeholder for the line of the magic", 1, notebook_env)
    yield made
    made.close()


@pytest.fixture(scope="session")
def local(
    request: pytest.FixtureRequest, notebook_env: dict[str, str], plain_kernel: CellRunner
) -> Iterator[CellRunner]:
    """Run the cells in local processes."""
    made = CellRunner("%%podtask --local {out}", 2, notebook_env)
    cases = selected_cases(request, "test_local")
    plain_kernel.start(cases)
    made.start(cases)
    yield made
    made.close()


@pytest.fixture(scope="session")
def in_pods(
    request: pytest.FixtureRequest,
    cluster: Any,
    notebook_env: dict[str, str],
    plain_kernel: CellRunner,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], CellRunner]]:
    """Run the cells in pods of one image, in a namespace that they share; one image at a time."""
    name = f"podtask-test-{uuid.uuid4().hex[:10]}"
    config = in_namespace(cluster.kubeconfig, name, tmp_path_factory.mktemp("pods") / "config")
    # With pyarrow, pandas keeps texts in its arrays, which an image without it cannot read.
    environments = {True: notebook_env, False: dict(os.environ)}
    ways: dict[str, CellRunner] = {}

    def way(image: str) -> CellRunner:
        if image not in ways:
            for before in ways.values():
                before.close()
            wanted = [recipe for recipe in MATRIX_RECIPES if f"docker.io/library/{image}" in recipe.names]
            if wanted and cluster.own:
                cluster.node.import_images(wanted)
            env = {**environments[image.startswith("libraries")], "KUBECONFIG": str(config)}
            env.pop("PODTASK_BACKEND", None)
            made = CellRunner(f"%%podtask --image {image} {{out}}", 3, env)
            cases = selected_cases(request, "test_pod", image=image)
            plain_kernel.start(cases)
            made.start(cases)
            ways[image] = made
        return ways[image]

    with cluster.temporary_namespace(name):
        yield way
        for made in ways.values():
            made.close()

"""Every cell behaves with %%podtask as it does in the plain kernel."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.images import MATRIX_RECIPES
from tests.differential.cases import Case, read_all
from tests.differential.cell_runner import CellRunner, Observation
from tests.differential.comparison import comparable, comparable_across_versions, refused
from tests.differential.intended_differences import INTENDED, with_intended_differences
from tests.differential.known_defects import DEFECTS
from tests.differential.libraries import LIBRARY_MODULES
from tests.notebook import strip_ansi

CASES = read_all()
WHOLE = os.environ.get("PODTASK_DIFFERENTIAL")  # `make differential` runs only images with this name
MATRIX = pytest.mark.matrix
# image -> its Python, and the modules that it has
SCIENCE = ("IPython", "jinja2", "matplotlib", "numpy", "pandas", "tqdm")
IMAGES = {
    "python:3.11-slim": ((3, 11), ()),
    "science:3.11": ((3, 11), SCIENCE),
    "python:3.9-slim": ((3, 9), ()),
    "science:3.9": ((3, 9), SCIENCE),
    "python:3.13-slim": ((3, 13), ()),
    "science:3.13": ((3, 13), SCIENCE),
    "libraries:3.11": ((3, 11), (*SCIENCE, *LIBRARY_MODULES)),
    "python:3.14-slim": ((3, 14), ()),
    "python:3.15-slim": ((3, 15), ()),
}
# Where a newer Python is most likely to differ, all cells run in pods of it.
NEWER = ("python:3.14-slim", "python:3.15-slim")
THEMES_OF_NEWER = ("definitions", "modules", "state")


def fits(case: Case, image: str) -> bool:
    """Return whether an image (by default, this machine) has the modules and the syntax of a cell."""
    python, modules = IMAGES.get(image, (sys.version_info[:2], case.needs))
    return set(case.needs) <= set(modules) and min(python, sys.version_info[:2]) >= case.python


def marks(case: Case, where: str, image: str = "") -> list[Any]:
    """Return the marks of a cell's test: it runs in `make matrix` only, is expected to fail, or none."""
    found: list[Any] = []
    # The notebooks of `make matrix` have all libraries.
    if WHOLE is None and any(importlib.util.find_spec(word) is None for word in case.needs):
        found.append(MATRIX)
    place, reason = DEFECTS.get(case.id, ("", ""))
    another = bool(image) and IMAGES[image][0] != sys.version_info[:2]
    if place and (place in (where, "both", image) or (place == "another" and another)):
        found.append(pytest.mark.xfail(strict=True, reason=reason))
    return found


def each(where: str, image: str = "") -> list[Any]:
    return [
        pytest.param(case, marks=marks(case, where, image), id=case.id) for case in CASES if fits(case, image)
    ]


def check(case: Case, reference: Observation, seen: Observation, image: str = "") -> None:
    """Raise AssertionError if the observed behaviour differs from that of the plain kernel."""
    other = bool(image) and IMAGES[image][0] != sys.version_info[:2]
    assert reference.leftovers == []
    assert seen.leftovers == []
    if says := refused(case, image):
        assert seen.error is not None
        assert re.search(says, strip_ansi(seen.error[2]))
        return
    if other and case.other == "refused":
        assert seen.error is not None
        assert seen.error[0] == "InputError"
        return
    wanted, found = with_intended_differences(comparable(reference), case.id), comparable(seen)
    if other:
        wanted, found = comparable_across_versions(wanted, case), comparable_across_versions(found, case)
    assert found == wanted


@pytest.mark.parametrize("case", each("local"))
def test_local(case: Case, plain_kernel: CellRunner, local: CellRunner) -> None:
    """A cell behaves with --local as in the kernel."""
    check(case, plain_kernel.seen(case), local.seen(case))


SHARE = 16  # otherwise, every n-th cell, with different cells for each image
# The notebook's own Python and another one; `make matrix` runs the others.
BUILT_WHEN_NEEDED = {recipe.names[0].rpartition("/")[2] for recipe in MATRIX_RECIPES}
IMAGES_IN_EVERY_RUN = ("python:3.11-slim", "science:3.11", "python:3.9-slim")


def in_pod(image: str) -> list[Any]:
    """Return the cells that run in pods of an image, with their marks."""
    if WHOLE is not None:
        return each("pod", image) if WHOLE in image else []
    place = list(IMAGES).index(image)
    _, modules = IMAGES[image]
    return [
        param
        for number, param in enumerate(each("pod", image))
        if number % SHARE == place
        or (modules and param.values[0].needs)
        or (image in NEWER and param.values[0].theme in THEMES_OF_NEWER)
    ]


def marks_of_image(image: str) -> list[Any]:
    """Return the marks of all tests with an image."""
    # The first test may have to build the image.
    slow = [pytest.mark.timeout(1800)] if image in BUILT_WHEN_NEEDED else []
    return [*slow, *([] if WHOLE is not None or image in IMAGES_IN_EVERY_RUN else [MATRIX])]


@pytest.mark.cluster
@pytest.mark.feature("N01")
@pytest.mark.parametrize(
    ("image", "case"),
    [
        pytest.param(
            image,
            *param.values,
            marks=[*param.marks, *marks_of_image(image)],
            id=f"{image}-{param.id}",
        )
        for image in IMAGES
        for param in in_pod(image)
    ],
)
def test_pod(image: str, case: Case, plain_kernel: CellRunner, in_pods: Callable[[str], CellRunner]) -> None:
    """A cell behaves in a pod as in the kernel."""
    reference = plain_kernel.seen(case)
    check(case, reference, in_pods(image).seen(case), image)


def test_intended_differences_belong_to_cells() -> None:
    """Every intended difference belongs to an existing cell."""
    assert INTENDED.keys() <= {case.id for case in CASES}
    assert DEFECTS.keys() <= {case.id for case in CASES}


def test_there_are_enough_cells() -> None:
    """The suite has at least 200 cells."""
    assert len(CASES) >= 200

"""``--pip`` in pods, with a package index that the test serves."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pip
import podtask
import pytest
from podtask import PodTemplate, RunOptions
from podtask.errors import StartError
from podtask.presets import host_path

from tests.local.test_pip_install import VERSION, index
from tests.notebook import Kernel, Shell
from tests.pods.test_enclosed import GATE, admit, submit_and_kill, wait_until_gone
from tests.pods.waiting import IMAGE

__all__ = ["index"]  # the fixture
pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]
READ_ONLY_POD = {
    **GATE,
    "terminationGracePeriodSeconds": 1,
    "containers": [{"name": "primary", "securityContext": {"readOnlyRootFilesystem": True}}],
}


@pytest.fixture
def address(cluster: Any) -> str:
    """Return the address of this machine as pods see it."""
    assert cluster.node
    status = cluster.schedulable_node()["status"]
    addresses = {each["type"]: each["address"] for each in status["addresses"]}
    return str(addresses["InternalIP"])


@pytest.mark.feature("A28", "A29", "A31")
def test_packages_are_installed_at_start(pods: Shell, address: str, index: int) -> None:
    """Packages are installed from a plain-HTTP index; a note shows the duration."""
    # The images of the tests do not contain pip, unlike the images of the same names in the registry.
    with_pip = PodTemplate().with_(host_path(str(Path(pip.__file__).parent), "/pip/pip"))
    options = RunOptions.of(
        template=with_pip,
        image=IMAGE,
        pip="podtasktest<2",
        index_url=f"http://{address}:{index}/one/",
        env={"PYTHONPATH": "/pip", "PIP_TRUSTED_HOST": address},
    )
    task = podtask.submit(VERSION, options=options)
    assert task.result(60) == "1.5"
    pods["with_pip"] = with_pip
    _, err = pods.output(
        f"%%podtask -t with_pip --image {IMAGE} --env PYTHONPATH=/pip --pip podtasktest"
        f" --index-url http://{address}:{index}/one/ --env PIP_TRUSTED_HOST={address}\n{VERSION}"
    )
    assert re.search(r"Installed podtasktest in \d+(\.\d+)? s\.", err)
    unreached = options.replace(index_url=f"http://{address}:1/one/")
    with pytest.raises(StartError, match="no package index can be reached from where the cell runs"):
        podtask.submit(VERSION, options=unreached).result(60)
    block = "# /// script\n# dependencies = ['podtasktest==1.0']\n# ///\n"
    assert podtask.submit(block + VERSION, options=options.replace(pip=())).result(60) == "1.0"


@pytest.mark.fault(111)
@pytest.mark.feature("N21")
def test_detached_pod_brings_packages_and_own_modules(
    pods: Shell,
    start_kernel: Callable[..., Kernel],
    address: str,
    index: int,
    cluster: Any,
    namespace: str,
    tmp_path: Path,
) -> None:
    """A pod whose kernel is killed while it waits installs --pip, and has the user's modules; its root is read-only."""
    (tmp_path / "own_night_mod.py").write_text("def double(n):\n    return 2 * n\n")
    kernel = start_kernel()
    kernel.run(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport own_night_mod")
    spec = (
        PodTemplate(READ_ONLY_POD)
        .with_(host_path(str(Path(pip.__file__).parent), "/pip/pip"))
        .to_dict()["spec"]
    )
    flags = f"--restricted --env PYTHONPATH=/pip --env PIP_TRUSTED_HOST={address} --pip podtasktest<2"
    flags += f" --index-url http://{address}:{index}/one/"
    cell = f"{VERSION}, own_night_mod.double(21)"
    submit_and_kill(kernel, spec, 1000, flags, cell)
    admit(cluster, namespace)
    task = podtask.attach("night")
    assert task.result(60) == ("1.5", 42)
    task.delete()
    wait_until_gone(cluster, namespace)


def test_pip_in_a_cell_installs_for_its_next_line(pods: Shell, address: str, index: int) -> None:
    """%pip install shows the output of pip live, and the next line can import the package."""
    pods["with_pip"] = PodTemplate().with_(host_path(str(Path(pip.__file__).parent), "/pip/pip"))
    out, _ = pods.output(
        f"%%podtask -t with_pip --image {IMAGE} --env PYTHONPATH=/pip -o found"
        " --env PIP_BREAK_SYSTEM_PACKAGES=1\n"  # the image has Debian's Python
        f"%pip install --index-url http://{address}:{index}/one/ --trusted-host {address} podtasktest\n"
        "import podtasktest\nfound = podtasktest.version"
    )
    assert "Successfully installed podtasktest-2.0" in out
    assert pods["found"] == "2.0"


@pytest.mark.feature("A28")
def test_image_without_pip_is_reported() -> None:
    """The error about an image without pip has two lines and names alternatives."""
    with pytest.raises(StartError, match="The image has no pip, so x cannot be installed"):
        podtask.submit("1", options=RunOptions.of(image=IMAGE, pip="x")).result(60)

"""Install packages for ``--pip`` into a folder of their own, which is deleted with the pod."""

import importlib
import os
import re
import subprocess
import sys
import tempfile
import time
from typing import Any, Dict, List

MAX_ERROR_LINES = 6
PIP_OPTIONS = (
    "--quiet",
    "--no-input",
    "--no-cache-dir",
    "--disable-pip-version-check",
    "--no-warn-script-location",
    "--retries=1",
)


class InstallError(Exception):
    """Packages cannot be installed.

    Args:
        message: One sentence, with pip's last lines.
        hint: What to do next.
    """

    def __str__(self) -> str:
        return "\n".join(self.args)


def install(request: Dict[str, Any]) -> float:
    """Install packages, put their folder first on the path, and return the seconds that it took.

    Args:
        request: Packages and options of pip, from the job.

    Raises:
        InstallError: pip is missing, no index can be reached, or no index has the package.
    """
    start = time.monotonic()
    try:
        target = tempfile.mkdtemp(prefix="podtask-pip-")
    except OSError as error:
        raise InstallError(
            f"No directory is writable, so packages cannot be installed: {error}.",
            "Mount an emptyDir at /tmp.",
        )
    command = [sys.executable, "-m", "pip", "install", "--target", target, *PIP_OPTIONS]
    constraints_path = os.path.join(target, "constraints.txt")
    if request["constraints"]:
        with open(constraints_path, "w") as file:
            file.write("\n".join(request["constraints"]) + "\n")
        command += ["--constraint", constraints_path]
    command += _pip_arguments(request)
    process = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if process.returncode:
        raise _install_error(request["specs"], process.stderr)
    sys.path.insert(0, target)
    python_path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = target + (os.pathsep + python_path if python_path else "")  # for !python, too
    os.environ["PATH"] = os.path.join(target, "bin") + os.pathsep + os.environ.get("PATH", os.defpath)
    importlib.invalidate_caches()
    return round(time.monotonic() - start, 1)


def _pip_arguments(request: Dict[str, Any]) -> List[str]:
    words = ["--index-url", request["index"]] if request["index"] else []
    for url in request["extra"]:
        words += ["--extra-index-url", url]
    return [*words, *(["--pre"] if request["pre"] else []), "--", *request["specs"]]


def _install_error(specs: List[str], stderr: str) -> InstallError:
    names = ", ".join(specs)
    if "No module named pip" in stderr:
        return InstallError(
            f"The image has no pip, so {names} cannot be installed.",
            "Choose an image that has pip, such as python:3.12-slim, or one that has the packages.",
        )
    if (
        "NewConnectionError" in stderr
        or "ConnectTimeout" in stderr
        or "Name or service" in stderr
        or "name resolution" in stderr
    ):
        # In this case pip's last line says, wrongly, that the package does not exist.
        reason = re.search(r"\[Errno -?\d+\] ([^'\n]+)", stderr)
        cause = reason[1] if reason else "no answer"
        return InstallError(
            f"Cannot install {names}: no package index can be reached from where the cell runs: {cause}",
            "Set a reachable index with --index-url, or choose an image that has the packages.",
        )
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.partition(":")[2].strip() for line in lines if line.startswith("ERROR:")]
    # The last line of a version conflict is only a link to a page about conflicts.
    errors = [line for line in errors if not line.startswith("ResolutionImpossible")]
    last = errors[-1] if errors else " | ".join(lines[-MAX_ERROR_LINES:])
    return InstallError(
        f"pip cannot install {names}: {last}",
        "Check the names and versions of the packages, and --index-url, --pre and --constraint.",
    )

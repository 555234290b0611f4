"""Install packages for ``--pip`` into a folder of their own, which is deleted with the pod."""

import base64
import importlib
import os
import re
import subprocess
import sys
import tempfile
import time
from typing import Any, Dict, Iterable, List, Tuple
from urllib.parse import unquote

from ..safe_text import redact

MAX_ERROR_LINES = 6
# A git repository with a user name or a password; its place ends at the revision or the fragment.
GIT_ADDRESS = re.compile(
    r"git\+(?P<scheme>https?://)(?P<userinfo>[^\s/?#'\"]*)@(?P<place>[^\s/?#'\"@]+/[^\s@#'\"]*)"
)
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
    command += ["--pre"] if request["pre"] else []
    # A process list shows the words of a command: what may hold a credential is in files and in the environment.
    specs, git_variables = _without_git_credentials(request["specs"])
    lists = {"--requirement": specs, "--constraint": request["constraints"]}
    with tempfile.TemporaryDirectory(prefix="podtask-pip-") as folder:
        for flag, lines in lists.items():
            if lines:
                command += [flag, _write_private(os.path.join(folder, f"{flag[2:]}s.txt"), lines)]
        process = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, **_index_variables(request), **git_variables},
        )
    if process.returncode:
        raise _install_error(request["specs"], process.stderr)
    sys.path.insert(0, target)
    python_path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = target + (os.pathsep + python_path if python_path else "")  # for !python, too
    os.environ["PATH"] = os.path.join(target, "bin") + os.pathsep + os.environ.get("PATH", os.defpath)
    importlib.invalidate_caches()
    return round(time.monotonic() - start, 1)


def shown_specs(request: Dict[str, Any]) -> List[str]:
    """Return the packages of a request without credentials."""
    return [redact(spec) for spec in request["specs"]]


def _index_variables(request: Dict[str, Any]) -> Dict[str, str]:
    """Return the variables that give pip the package indexes, in addition to those of the image."""
    variables = {}
    if request["index"]:
        variables["PIP_INDEX_URL"] = request["index"]
    if request["extra"]:
        known = os.environ.get("PIP_EXTRA_INDEX_URL", "").split()
        variables["PIP_EXTRA_INDEX_URL"] = " ".join([*known, *request["extra"]])
    return variables


def _without_git_credentials(specs: List[str]) -> Tuple[List[str], Dict[str, str]]:
    """Return the packages without credentials of git repositories, and variables that give them to git.

    pip runs git with the address of a repository, and git runs other programs with it.
    """
    headers = []

    def remove_credentials(match: "re.Match[str]") -> str:
        user, _, password = match["userinfo"].partition(":")
        word = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
        headers.append(f"'http.{match['scheme']}{match['place']}.extraHeader=Authorization: Basic {word}'")
        return f"git+{match['scheme']}{match['place']}"

    cleaned = [GIT_ADDRESS.sub(remove_credentials, spec) for spec in specs]
    if not headers:
        return cleaned, {}
    # As `git -c` does it for the programs that it runs. GIT_CONFIG_COUNT needs git 2.31.
    known = os.environ.get("GIT_CONFIG_PARAMETERS", "")
    return cleaned, {"GIT_CONFIG_PARAMETERS": " ".join(filter(None, [known, *headers]))}


def _write_private(path: str, lines: Iterable[str]) -> str:
    """Write lines to a new file that only this user can read; return its path."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
    return path


def _install_error(specs: List[str], stderr: str) -> InstallError:
    names, stderr = redact(", ".join(specs)), redact(stderr)
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

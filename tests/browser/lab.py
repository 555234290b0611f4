"""A JupyterLab for tests: a process with its own folders, independent of the user's configuration."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
TOKEN = "of-the-tests"
SERVER_URL = re.compile(r"http://127\.0\.0\.1:\d+/")
OPTIONS = (
    "--no-browser",
    "--allow-root",
    "--ip=127.0.0.1",
    "--ServerApp.port=0",
    "--LabApp.expose_app_in_browser=True",
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
    "--ServerApp.terminals_enabled=False",
)
SETTINGS: dict[str, Any] = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
    "@jupyterlab/completer-extension/manager": {"providerTimeout": 10000},
}


class Lab:
    """A running JupyterLab.

    Args:
        folder: Folder for the notebooks and all files that JupyterLab writes.
        env: Additional environment variables for JupyterLab and its kernels.
        settings: Additional settings, by the name of the plugin.
    """

    def __init__(self, folder: Path, env: dict[str, str], settings: dict[str, Any] | None = None) -> None:
        self.folder = folder / "work"
        self.folder.mkdir(parents=True)
        folders = {
            name: str(folder / name.lower())
            for name in (
                "JUPYTER_CONFIG_DIR",
                "JUPYTER_DATA_DIR",
                "JUPYTER_RUNTIME_DIR",
                "JUPYTERLAB_SETTINGS_DIR",
                "JUPYTERLAB_WORKSPACES_DIR",
                "IPYTHONDIR",
            )
        }
        for name, value in {**SETTINGS, **(settings or {})}.items():
            plugin, _, stem = name.rpartition("/")
            file = Path(folders["JUPYTERLAB_SETTINGS_DIR"]) / plugin / f"{stem}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(value))
        path = os.pathsep.join(str(ROOT / each) for each in ("ext", "widgets", "."))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *OPTIONS],
            cwd=self.folder,
            env={**os.environ, **folders, "JUPYTER_TOKEN": TOKEN, "PYTHONPATH": path, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout
        self._lines: list[str] = []
        self.url = ""
        for line in self._process.stdout:
            self._lines.append(line)
            if match := SERVER_URL.search(line):
                self.url = match[0]
                break
        assert self.url, "".join(self._lines)
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()

    def _drain(self) -> None:
        """Read the output, so that JupyterLab never blocks on a full pipe."""
        assert self._process.stdout
        self._lines.extend(self._process.stdout)

    def close(self) -> None:
        """Stop JupyterLab and its kernels."""
        self._process.terminate()
        self._process.wait(30)
        self._reader.join(30)
        assert self._process.stdout
        self._process.stdout.close()

"""Every option that a text of podtask names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from podtask.magics.arguments import fields_by_flag
from podtask.magics.commands import HELP_FLAGS, usage

ROOT = Path(__file__).parents[2]
OPTION = re.compile(r"(?<![\w-])--(?!jp-|vscode-|pt-)[a-z][a-z-]*[a-z]")  # but no custom property of CSS
# Options of other programs, and mistakes that are shown on purpose.
OTHERS = {
    "pip": (
        *("--disable-pip-version-check", "--no-cache-dir", "--no-input", "--no-warn-script-location"),
        *("--editable", "--quiet", "--requirement", "--target"),
    ),
    "the clouds": (
        *("--attach-acr", "--cluster", "--docker-password", "--docker-server", "--docker-username"),
        *("--gpus", "--name", "--region", "--resource-group"),
    ),
    "kubectl": ("--attach", "--raw", "--rm", "--show-labels", "--tail", "--validate"),
    "nbconvert": ("--execute", "--to"),
    "nvidia-smi": ("--list-gpus",),
    "a mistake": ("--me", "--memroy", "--tiemout"),
    "the tests": ("--delay-ms", "--faults", "--features", "--list", "--pods"),
}


def named_options(text: str) -> set[str]:
    """Return the options that a text names and that neither podtask nor another known program has."""
    known = {
        *fields_by_flag(),
        *HELP_FLAGS,
        *OPTION.findall(usage()),
        *(each for some in OTHERS.values() for each in some),
    }
    return set(OPTION.findall(text)) - known


@pytest.mark.fault(115)
def test_every_named_option_exists() -> None:
    """Code, help, errors, docs and notebooks name only options that exist."""
    folders = (("ext", "py"), ("widgets", "py"), ("docs", "md"), ("notebooks", "ipynb"))
    files = [
        path
        for folder, suffix in folders
        for path in (ROOT / folder).rglob(f"*.{suffix}")
        if not path.relative_to(ROOT).parts[1].startswith("_")
        and path.name != "familiar_words.py"  # options of other programs; tests/local/test_words.py checks it
    ]
    files += [*ROOT.glob("*.md"), ROOT / "tests/local/error_texts.txt"]
    assert len(files) > 200
    unknown = {str(path.relative_to(ROOT)): named_options(path.read_text()) for path in files}
    assert {path: options for path, options in unknown.items() if options} == {}


@pytest.mark.parametrize("text", ["see --logs NAME", "`--out-put x`", "Use --kep=1h.", "'--gpu-count 2'"])
def test_an_option_that_does_not_exist_is_found(text: str) -> None:
    """The check finds an option wherever it stands in a text."""
    assert len(named_options(text)) == 1

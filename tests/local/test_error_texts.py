"""All errors that a cell can cause, collected in one file that can be read from start to end."""

from __future__ import annotations

import os
import re
import sys
import warnings
from pathlib import Path

import pytest
from podtask.backends import pod_delete

from tests.notebook import Shell

FILE = Path(__file__).parent / "error_texts.txt"
SHOWS = "#: shows\n"
# Patterns of text that varies between runs, and their replacements.
VARIES = (
    (r"(?m)^[✓✗■] (.* )?\d+\.\d s(, local.*)?\n", ""),  # the status lines
    (r"(?m)^● .* · \d+ s\n", ""),  # those of a phase that takes long on a busy machine
    (r"(?m)^\d of \d done\n", ""),
    (r"0x[0-9a-f]{6,}", "0xADDRESS"),
    (r"podtask-[0-9a-f]{10}", "podtask-NAME"),
    (r"/tmp/\S+?/", "/tmp/"),
    (r"Cell In\[\d+\]", "Cell In[1]"),
    (r'File "<ipython-input-[^"]*"', 'File "<cell>"'),
    (r"\(<ipython-input-[^,]*, line", "(<cell>, line"),
    (r"-{40,}", "-" * 40),
    (r"(\w+)  +Traceback", r"\1  Traceback"),
    (r"(?ms)^File (?:/|~).*?\n\n", ""),  # a frame of a library
    (r"[ \t]+\n", "\n"),
)


def shown(shell: Shell, cells: list[str]) -> str:
    """Run cells, of which the last one fails; return the output of the last cell."""
    for cell in cells[:-1]:
        shell.run(cell)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # printed by IPython at sys.exit
        text = shell.shown_error(cells[-1]).strip("\n") + "\n"
    for pattern, word in VARIES:
        text = re.sub(pattern, word, text)
    return text


def test_error_texts_equal_the_file(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The displayed errors equal the file. PODTASK_WRITE=1 updates the file instead."""
    # A deletion that a test with a cluster has left reports at any time; no cell here deletes a pod.
    monkeypatch.setattr(pod_delete, "_print_warning", lambda message, hint: None)
    head, *sections = re.split(r"^(?=---- )", FILE.read_text(), flags=re.MULTILINE)
    found = []
    for section in sections:
        title, _, rest = section.partition("\n")
        code = rest.partition(SHOWS)[0]
        said = shown(shell, [cell.strip("\n") for cell in code.split("\n#:\n")])
        print(f"{title}\n{said}")
        found.append(f"{title}\n{code.rstrip()}\n{SHOWS}{said}")
    text = head + "".join(found)
    if "PODTASK_WRITE" in os.environ:
        FILE.write_text(text)
    if sys.version_info[:2] == (3, 11):  # other versions use other words and marks in their own errors
        assert text == FILE.read_text()

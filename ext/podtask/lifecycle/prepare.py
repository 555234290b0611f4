"""A cell made ready to be sent: checked, its inputs packed; becomes a job for a runner."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ..cell.cell import Cell
from ..cell.script_metadata import Script
from ..channel.job import Job
from ..config.options import RunOptions
from ..config.quantities import to_decimal
from ..errors import InputError, StartError
from ..manifest.pod_manifest import PodManifest
from ..manifest.render import render
from ..pickling.function_call import FunctionCall
from ..pickling.hints import missing_module_hint, missing_name, missing_name_hint
from ..pickling.inputs import Inputs, pack_inputs, select
from ..pickling.unpicklable import Unsendable
from ..runner.bundle import MINOR
from ..template.template import PodTemplate

MOST_SOURCE = 768 << 10  # bytes as JSON: it goes in the head of one frame, of 1 MiB at most
MOST_WORDS = 128 << 10  # of options, in the same head; a longer variable would start no process
OLDEST = (3, 9)
LOCAL_SECONDS = 60.0  # a process on this machine outlives its kernel no longer


@dataclass(frozen=True)
class PreparedCell:
    """A cell with all it needs, packed when it was submitted."""

    cell: Cell
    script: Script
    manifest: PodManifest
    options: RunOptions
    values: dict[str, Any]
    namespace: dict[str, Any]
    began: float = field(default_factory=time.monotonic)  # when it was begun to be made ready
    call: FunctionCall | None = None  # what the cell stands for

    @functools.cached_property
    def inputs(self) -> Inputs:
        """What the cell is given, for a pod with the notebook's minor version."""
        return self.pack(MINOR)

    def pack(self, python: str) -> Inputs:
        """Packs the inputs for a minor version of Python.

        Raises:
            InputError: something cannot be sent; names it, and the line that uses it.
        """
        cell = self.cell
        if self.options.inputs is not None:
            cell = replace(cell, writes=())  # what is asked for by name is not left out
        try:
            limit = int(to_decimal(self.options.max_input))
            return pack_inputs(self.values, self.namespace, python, cell, limit)
        except InputError as error:
            if self.call is not None:
                raise self.call.in_call_terms(error) from None
            line = cell.line_of(error.root) if isinstance(error, Unsendable) else None
            if line is not None:
                raise InputError(f"Line {line} of the cell: {error.message}", error.hint) from None
            raise

    def job_for(self, python: str, name: str, linger: float, note: Callable[[str], None]) -> Job:
        """Returns the job for a runner of the given Python version.

        Args:
            python: as the runner says, ``3.11.2``.
            name: of the task.
            linger: seconds that the runner waits for us when the cell has ended.
            note: called with a line for the user.

        Raises:
            StartError: that Python is too old.
            InputError: the inputs cannot be had for another minor version.
        """
        version = tuple(int(part) for part in python.split(".")[:2])
        if version < OLDEST:
            raise StartError(
                f"The image has Python {python}; podtask needs 3.9 or newer.",
                "Choose another image with --image.",
            )
        script = self.script
        if not script.takes(python):
            raise StartError(
                f"The cell's script metadata requires Python {script.python}; the image has {python}.",
                "Choose another image with --image.",
            )
        inputs = self.inputs
        minor = ".".join(python.split(".")[:2])
        if minor != MINOR:
            inputs = self.pack(minor)
            note(
                f"The pod has Python {python}, the notebook {MINOR}: "
                "functions travel as source, values as plain data."
            )
        for line in inputs.notes:
            note(line)
        options = self.options
        wanted = {
            "specs": options.pip,
            "index": options.index_url,
            "extra": options.extra_index_url,
            "pre": options.pre,
            "constraints": options.constraint,
        }
        meta = {
            "exec": name,
            "source": self.cell.source,
            "filename": self.cell.filename,
            "quiet": self.cell.quiet,
            "timed": self.cell.timed,
            "flags": self.cell.flags,
            **inputs.about,
            "outputs": "auto" if options.outputs == ("auto",) else list(options.outputs),
            "env": dict(options.env),
            "pip": wanted if options.pip else None,
            "timeout": options.timeout,
            "linger": min(linger, LOCAL_SECONDS) if options.local else linger,
            "log_result": not options.no_log_result,
            "local": options.local,
            "grace": options.grace,
            "call": self.call.name if self.call is not None else "",
        }
        return Job(meta, inputs.parts)

    def hint(self, error: BaseException) -> str:
        """Returns what may mend an error of the cell, in a line; empty where nothing is known."""
        if isinstance(error, ModuleNotFoundError):
            return "" if self.options.local else missing_module_hint(error)
        name = missing_name(error, self.cell.source)
        if not name:
            return ""
        return missing_name_hint(name, self.namespace, self.values, self.inputs.left_out)


def prepare(
    cell: Cell,
    options: RunOptions,
    namespace: dict[str, Any],
    call: FunctionCall | None = None,
) -> PreparedCell:
    """Packs a cell's inputs and checks everything that can be checked here.

    Args:
        cell: it.
        options: how to run it.
        namespace: the notebook's.
        call: what the cell stands for; it has the inputs then.

    Raises:
        InputError: an option, the template or an input is wrong.
    """
    began = time.monotonic()
    values = call.values if call else select(cell.reads, options.inputs, namespace)
    script = Script.of(cell.source)
    if script.packages:
        options = options.replace(pip=(*script.packages, *options.pip))
    size = len(json.dumps(cell.source))
    if size > MOST_SOURCE:
        raise InputError(
            f"The cell has {size >> 10} KiB of code; {MOST_SOURCE >> 10} KiB can be sent.",
            "Put its data into a variable or a file; inputs may be larger (--max-input).",
        )
    words = [dict(options.env), options.pip, options.constraint, options.outputs]
    size = len(json.dumps(words))
    if size > MOST_WORDS:
        raise InputError(
            f"The options have {size >> 10} KiB (--env, --pip, --constraint, -o); "
            f"{MOST_WORDS >> 10} KiB can be sent.",
            "Put what is long into a variable or a file of the cell.",
        )
    manifest = render_cell(script, options)
    work = PreparedCell(cell, script, manifest, options, values, namespace, began, call)
    _ = work.inputs  # packed now: the notebook may change them later
    return work


def render_cell(script: Script, options: RunOptions) -> PodManifest:
    """Return the pod for a cell, with a default image of the Python that its script metadata requires.

    Args:
        script: Script metadata of the cell.
        options: Options of the cell; the template is resolved.

    Raises:
        InputError: The template or an option is wrong, or no Python satisfies the metadata.
    """
    chooses = script.python and not options.image and not options.local
    template: PodTemplate | None = options.template
    return render(template, options, script.minor(MINOR) if chooses else MINOR)

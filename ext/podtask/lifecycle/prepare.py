"""Prepare a cell: check it, pack its inputs, render its pod, and make the job for a runner."""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ..cell.cell import Cell
from ..cell.main_lookups import NOTHING, MainLookups, main_lookups
from ..cell.script_metadata import PYTHON_VERSIONS, ScriptMetadata
from ..cell.sql_tables import sql_tables
from ..channel.enclosure import EnclosedCell
from ..channel.job import Job
from ..config.notification import NotificationSettings, read_notification_settings
from ..config.options import BATCH, PLAIN, RunOptions
from ..config.quantities import to_decimal
from ..errors import InputError, StartError
from ..manifest.pod_manifest import PodManifest
from ..manifest.render import render
from ..pickling.function_call import FunctionCall
from ..pickling.hints import left_name_hint, missing_module_hint, missing_name, missing_name_hint
from ..pickling.inputs import Inputs, pack_inputs, select
from ..pickling.ipython_names import is_ipython_name
from ..pickling.missing_state import (
    missing_attribute_hint,
    missing_builtin_hint,
    missing_registration_hint,
    missing_variable_hint,
)
from ..pickling.plain_values import reads_arrow
from ..pickling.state import NO_STATE, LibraryState, capture_state
from ..pickling.unpicklable import UnpicklableError
from ..runner.bundle import MINOR
from ..runner.protocol import ANY_PYTHON
from ..template.template import PodTemplate

MAX_SOURCE_BYTES = 768 << 10  # as JSON; the source is part of a frame's head, of 1 MiB at most
MAX_OPTIONS_BYTES = 128 << 10  # as JSON, in the same head; Linux limits one environment variable to 128 KiB
OLDEST_PYTHON = (3, 9)
MAX_NAMES = 10  # in a note
ANOTHER_VERSION = "another version"  # of an image whose Python is not known yet
PYTHON_IMAGE = re.compile(r"(?:.*/)?python:(3\.\d+)(?![\d])")
# Image and Python in it -> minor version that a pod of this kernel had.
_minors: dict[tuple[str, str], str] = {}


@dataclass(frozen=True)
class SelectedInputs:
    """The values of a cell that are sent.

    Args:
        values: The values, by name.
        kept: Names that are not sent although functions need them.
        references: Those of them whose objects the values refer to.
    """

    values: dict[str, Any]
    kept: frozenset[str] = frozenset()
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class PreparedCell:
    """A cell with everything that its runner needs, packed when the cell was submitted.

    Args:
        cell: The cell.
        script: Its script metadata.
        manifest: The rendered pod, which belongs to no task yet.
        options: How to run the cell.
        values: The variables to send, by name.
        namespace: The notebook's namespace.
        began: When the preparation began (monotonic).
        call: The function call that the cell stands for, if any.
        state: The state of the notebook's libraries.
        lookups: The variables that libraries find in ``__main__`` by themselves.
        notification: What is called when the task has ended.
        kept: Names that are not sent although functions need them: the session has them.
        references: Those of them whose objects the values refer to.
    """

    cell: Cell
    script: ScriptMetadata
    manifest: PodManifest
    options: RunOptions
    values: dict[str, Any]
    namespace: dict[str, Any]
    began: float = field(default_factory=time.monotonic)
    call: FunctionCall | None = None
    state: LibraryState = NO_STATE
    lookups: MainLookups = NOTHING
    notification: NotificationSettings = NotificationSettings()
    kept: frozenset[str] = frozenset()
    references: tuple[str, ...] = ()

    @functools.cached_property
    def inputs(self) -> Inputs:
        """The packed inputs, for a pod with the notebook's minor version of Python."""
        return self.pack(MINOR)

    @functools.cached_property
    def plain_inputs(self) -> Inputs | InputError | None:
        """The packed inputs for a pod with another minor version, or why there are none.

        None if the image is known to have the notebook's version: packing twice may take long.

        Raises:
            InputError: The image is known to have another version, and a value cannot be sent there.
        """
        minor = known_minor(self.manifest)
        if minor == MINOR or self.options.local or self.options.channel == BATCH:
            return None
        try:
            return self.pack(minor or ANOTHER_VERSION)
        except InputError as error:
            if minor:
                raise
            return error

    def without_values(self) -> PreparedCell:
        """Return the cell without its pod, the values and their pickles, for a task that has ended."""
        emptied = replace(self, manifest=PodManifest({}), values={}, namespace={}, call=None, state=NO_STATE)
        vars(emptied).update(inputs=replace(self.inputs, parts=()), plain_inputs=None)
        return emptied

    def pack(self, python: str) -> Inputs:
        """Pack the inputs for a minor version of Python.

        Raises:
            InputError: A value cannot be sent. The message names it and the line that uses it.
        """
        cell = self.cell
        if self.options.inputs is not None:
            cell = replace(cell, writes=())  # an input that is named with -i is always sent
        lookups = self.lookups
        optional = (*lookups.members, *lookups.left_out, *lookups.checked)
        if optional:  # like the names that the cell may set, they are left out if they cannot be sent
            cell = replace(cell, writes=(*cell.writes, *optional))
        try:
            limit = int(to_decimal(self.options.max_input))
            inputs = pack_inputs(
                self.values,
                self.namespace,
                python,
                cell,
                limit,
                self.state,
                self.options.local,
                self.kept,
                self.references,
            )
            unsent = [name for name in self.lookups.members if name in inputs.left_out]
            unsent += self.lookups.left_out
            if unsent:
                more = f" and {len(unsent) - MAX_NAMES} more" if len(unsent) > MAX_NAMES else ""
                note = (
                    f"The cell lists the members of __main__; {', '.join(unsent[:MAX_NAMES])}{more} stayed in the notebook. "
                    "To send a variable, name it in the cell or with -i."
                )
                inputs = replace(inputs, notes=(*inputs.notes, note))
            return inputs
        except InputError as error:
            if isinstance(error, UnpicklableError) and error.root in self.lookups.needed:
                hint = "The cell looks for it in __main__. To send only some of the variables, name them with -i."
                raise InputError(error.message, hint) from None
            if self.call is not None:
                raise self.call.in_call_terms(error) from None
            line = cell.line_of(error.root) if isinstance(error, UnpicklableError) else None
            if line is not None:
                raise InputError(f"Line {line} of the cell: {error.message}", error.hint) from None
            raise

    def job_for(self, python: str, name: str, linger: float, note: Callable[[str], None]) -> Job:
        """Return the job for a runner of the given Python version, with the inputs of the moment of the call.

        Args:
            python: Version of the runner's Python, such as ``3.11.2``.
            name: Name of the task.
            linger: Seconds that the runner waits for the notebook once the cell has ended.
            note: Called with each line for the user.

        Raises:
            StartError: The runner's Python is too old, or the image had another version before.
            InputError: The inputs cannot be packed for another minor version.
        """
        version = tuple(int(part) for part in python.split(".")[:2])
        if version < OLDEST_PYTHON:
            raise StartError(
                f"The image has Python {python}; podtask needs 3.9 or newer.",
                "Choose another image with --image.",
            )
        script = self.script
        if not script.accepts(python):
            raise StartError(
                f"The cell's script metadata requires Python {script.python}; the image has {python}.",
                "Choose another image with --image.",
            )
        inputs = self.inputs
        minor = ".".join(python.split(".")[:2])
        if minor != MINOR:
            inputs = self._inputs_for(minor)
            note(
                f"The pod has Python {python}, the notebook {MINOR}: "
                "functions are sent as source, values as plain data."
            )
        for line in inputs.notes:
            note(line)
        return self._job(inputs, name, linger)

    def enclosed_cells(self, name: str, linger: float) -> list[EnclosedCell]:
        """Return the cell for each version of Python that the pod may have, as it is not known before the pod runs.

        Args:
            name: Name of the task.
            linger: Seconds that the runner waits for a notebook once the cell has ended.
        """
        refusal = f"the cell's script metadata requires Python {self.script.python}"
        cells = [
            EnclosedCell(minor, None, refusal)
            for minor in PYTHON_VERSIONS
            if not self.script.accepts(f"{minor}.99")
        ]
        if known_minor(self.manifest) in ("", MINOR):
            cells.append(EnclosedCell(MINOR, self._job(self.inputs, name, linger)))
        others = self.plain_inputs
        if isinstance(others, Inputs):
            cells.append(EnclosedCell(ANY_PYTHON, self._job(others, name, linger)))
        else:
            why = (
                others.message
                if others
                else f"the cell was packed for Python {MINOR}, the version of the image in its tag or in an earlier pod"
            )
            cells.append(EnclosedCell(ANY_PYTHON, None, why))
        return cells

    @property
    def secrets_in_words(self) -> str:
        """What the job has that others may not read; empty if there is nothing."""
        if self.options.env or self.options.index_url or self.options.extra_index_url:
            return "the values of --env"
        return "the address of the webhook (--notify)" if self.notification.url else ""

    @property
    def inputs_size(self) -> int:
        """Size of the packed inputs in bytes."""
        return sum(map(len, self.inputs.parts))

    def _job(self, inputs: Inputs, name: str, linger: float) -> Job:
        """Return the job for a runner, with inputs that are packed for its version of Python."""
        options = self.options
        pip = {
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
            "pip": pip if options.pip else None,
            "timeout": options.timeout,
            "linger": linger,
            "log_result": not options.no_log_result,
            "plain": ("arrow" if reads_arrow() else "csv") if options.results == PLAIN else "",
            "results_in": options.results_in or "",
            "local": options.local,
            "grace": options.grace,
            "call": self.call.name if self.call is not None else "",
            "notify": {"url": self.notification.url, "name": options.name or name}
            if options.notify
            else None,
        }
        return Job(meta, inputs.parts, inputs.sha256)

    def _inputs_for(self, minor: str) -> Inputs:
        """Return the inputs for another minor version, as they were packed when the cell was submitted."""
        if isinstance(self.plain_inputs, InputError):
            raise self.plain_inputs
        if self.plain_inputs is None:  # packed now, they would be those of this moment
            raise StartError(
                f"The image {self.manifest.image} has Python {minor}; its tag or an earlier pod said {MINOR}.",
                "Run the cell again: its inputs are packed for this version then.",
            )
        return self.plain_inputs

    def hint_for(self, error: BaseException) -> str:
        """Return a one-line hint for an error of the cell; empty if there is none."""
        if isinstance(error, ModuleNotFoundError):
            return missing_module_hint(error, self.options.local)
        hint = missing_variable_hint(error, dict(self.options.env))
        hint = hint or missing_attribute_hint(error, self.namespace)
        hint = hint or missing_registration_hint(error, self.namespace)
        if hint:
            return hint
        name = missing_name(error, self.cell.source)
        if not name:
            return ""
        hint = missing_name_hint(name, self.namespace, self.values, self.inputs.left_out)
        return hint or missing_builtin_hint(name, self.namespace) or left_name_hint(name)


def prepare(
    cell: Cell,
    options: RunOptions,
    namespace: dict[str, Any],
    call: FunctionCall | None = None,
    waits: bool = False,
    choose: Callable[[dict[str, Any]], SelectedInputs] | None = None,
    with_state: bool = True,
    manifest: PodManifest | None = None,
) -> PreparedCell:
    """Pack a cell's inputs, and check everything that can be checked in the notebook.

    Args:
        cell: The cell.
        options: How to run it.
        namespace: The notebook's namespace.
        call: The function call that the cell stands for; its arguments are the inputs then.
        waits: Whether the notebook waits for the cell, so that the state of random numbers goes and comes back.
        choose: Returns which of the values are sent, in a session; None for all.
        with_state: Whether the state of libraries is sent.
        manifest: The pod of the session that it runs in; None to render one.

    Raises:
        InputError: An option, the template or an input is wrong.
    """
    began = time.monotonic()
    lookups = NOTHING
    if call is None and options.inputs is None:
        lookups = main_lookups(cell.source, cell.reads, namespace).without(
            lambda name: is_ipython_name(name, namespace)
        )
    named = [*cell.reads, *sql_tables(cell.source, namespace)]
    named += [*lookups.needed, *lookups.members, *lookups.checked]
    values = call.values if call else select(named, options.inputs, namespace)
    if choose is not None and call is None:  # -i of a session names values that count, and not the only ones
        values |= select(named, None, namespace)
    selected = SelectedInputs(values) if choose is None else choose(values)
    script = ScriptMetadata.parse(cell.source)
    if script.packages:
        options = options.replace(pip=(*script.packages, *options.pip))
    size = len(json.dumps(cell.source))
    if size > MAX_SOURCE_BYTES:
        raise InputError(
            f"The cell has {size >> 10} KiB of code; {MAX_SOURCE_BYTES >> 10} KiB can be sent.",
            "Put its data into a variable or a file; inputs may be larger (--max-input).",
        )
    listed = [dict(options.env), options.pip, options.constraint, options.outputs]
    size = len(json.dumps(listed))
    if size > MAX_OPTIONS_BYTES:
        raise InputError(
            f"The options have {size >> 10} KiB (--env, --pip, --constraint, -o); "
            f"{MAX_OPTIONS_BYTES >> 10} KiB can be sent.",
            "Put long values into a variable or a file of the cell.",
        )
    if options.results_in and options.local:
        raise InputError(
            "--results-in writes to a volume of a pod, and --local runs without one.",
            "Remove one of them; the values of a local cell are those of -o.",
        )
    manifest = manifest or render_cell(script, options)
    state = capture_state(namespace, waits) if with_state else NO_STATE
    notification = read_notification_settings() if options.notify else NotificationSettings()
    prepared = PreparedCell(
        cell,
        script,
        manifest,
        options,
        selected.values,
        namespace,
        began,
        call,
        state,
        lookups,
        notification,
        selected.kept,
        selected.references,
    )
    _ = prepared.inputs, prepared.plain_inputs  # pack now: the notebook may change them later
    return prepared


def known_minor(manifest: PodManifest) -> str:
    """Return the minor version of a pod's Python, ``3.11``, from earlier pods or the tag; empty if not known."""
    tag = PYTHON_IMAGE.match(manifest.image) if manifest.python == RunOptions().python else None
    return _minors.get((manifest.image, manifest.python)) or (tag[1] if tag else "")


def remember_minor(manifest: PodManifest, python: str) -> None:
    """Remember the version of a pod's Python, for the next cells with this image."""
    _minors[manifest.image, manifest.python] = ".".join(python.split(".")[:2])


def render_cell(script: ScriptMetadata, options: RunOptions) -> PodManifest:
    """Return the pod for a cell, with a default image of the Python that its script metadata requires.

    Args:
        script: Script metadata of the cell.
        options: Options of the cell; the template is resolved.

    Raises:
        InputError: The template or an option is wrong, or no Python satisfies the metadata.
    """
    chooses = script.python and not options.image and not options.local
    template = None if options.template is None else PodTemplate.of(options.template)
    return render(template, options, script.choose_minor(MINOR) if chooses else MINOR)

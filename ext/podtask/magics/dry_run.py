"""``--dry-run``: the pod a cell would get, what the rules overwrote, and what the server says."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import shlex
from dataclasses import dataclass
from typing import Any

import yaml

from ..api.submit import preview as render_preview
from ..config.options import RunOptions
from ..errors import PodtaskError
from ..formatting import abbreviate, call, card
from ..manifest.diff import dropped, marks
from ..manifest.labels import (
    CELL,
    KERNEL_LABEL,
    NAME_LABEL,
    NOTEBOOK_LABEL,
    TASK_LABEL,
    USER_LABEL,
    VOLUME,
)
from ..runner.bundle import boot_program
from ..template.card import spec_rows
from ..template.template import PodTemplate

OF_A_RUN = ("PODTASK_KEY", "PODTASK_PORT")
LABELS_OF_A_RUN = (TASK_LABEL, KERNEL_LABEL, USER_LABEL, NAME_LABEL, NOTEBOOK_LABEL)


@dataclass(frozen=True)
class Preview:
    """A pod that was rendered and not created.

    Args:
        pod: in wire form, without the task's key.
        notices: what the rules overwrote, in words.
        template: the user's.
        options: of the cell.
        verdict: what the API server says, a line each.
        last: the pod of the last run, without its key; empty before the first.
    """

    pod: dict[str, Any]
    notices: tuple[str, ...]
    template: PodTemplate
    options: RunOptions
    verdict: tuple[str, ...]
    last: dict[str, Any]

    @classmethod
    def of(cls, options: RunOptions, last: dict[str, Any], source: str = "") -> Preview:
        """Renders a pod and asks the API server for its opinion, where there is one.

        Args:
            options: of the cell.
            last: the pod of the last run, without its key; empty before the first.
            source: of the cell, whose script metadata may ask for a Python.

        Raises:
            InputError: the template or an option is wrong.
        """
        manifest = render_preview(options, source)
        verdict = _verdict(manifest.pod, options)
        return cls(manifest.pod, manifest.notices, options.template, options, verdict, last)

    def to_yaml(self) -> str:
        """Returns the pod in YAML, with a comment where a rule overwrote something."""
        text = str(yaml.safe_dump(self.pod, sort_keys=False))
        lines = text.splitlines()
        above: dict[int, list[str]] = {}
        for mark in marks(yaml.compose(text), self.pod, self.template.to_dict()):
            if mark.there is None:  # added by a rule: not the user's, so nothing is lost
                continue
            line = lines[mark.line]
            if mark.one_line:
                lines[mark.line] = f"{line}  # was: {abbreviate(mark.there)}"
            else:
                key = f"{mark.key} " if mark.here is None else ""
                indent = " " * (len(line) - len(line.lstrip()))
                above.setdefault(mark.line, []).append(f"{indent}# {key}was: {abbreviate(mark.there)}")
        return "".join(
            f"{each}\n" for number, line in enumerate(lines) for each in [*above.get(number, []), line]
        )

    def to_python(self) -> str:
        """Returns the template and the options as Python; values of ``--env`` are left out."""
        asked = {
            name: getattr(self.options, name)
            for name in vars(RunOptions())
            if name not in ("template", "env", "dry_run", "inputs", "outputs")
            and getattr(self.options, name) != getattr(RunOptions(), name)
        }
        return (
            "from podtask import PodTemplate, RunOptions\n\n"
            f"template = {self.template.to_python()}\n"
            f"options = {call('RunOptions.of', asked)}\n"
        )

    def kubectl(self) -> str:
        """Returns the shell line that has the API server check this pod; it creates nothing."""
        where = "".join(
            f" {flag} {shlex.quote(value)}"
            for flag, value in (("--context", self.options.context), ("-n", self.options.namespace))
            if value
        )
        text = yaml.safe_dump(self.pod, sort_keys=False)
        return f"kubectl{where} create --dry-run=server --validate=strict -o yaml -f - <<'EOF'\n{text}EOF"

    def diff_to_template(self) -> str:
        """Returns what the rules made of the template, as a unified diff; empty for nothing."""
        return _diff(self.template.to_dict(), self.pod, "template", "pod")

    def diff_to_last(self) -> str:
        """Returns what is another than in the last run, as a unified diff; empty for nothing."""
        return _diff(self.last, self.pod, "last run", "this one") if self.last else ""

    def __repr__(self) -> str:
        said = [*self.notices, *self.verdict]
        return "".join(f"# {line}\n" for line in said) + self._readable()

    def _readable(self) -> str:
        """The YAML without the text of our program: forty lines that nobody asked for."""
        return dataclasses.replace(self, pod=_without_program(self.pod)).to_yaml()

    def _repr_html_(self) -> str:
        rows = spec_rows(
            self.pod["spec"], self.template.primary_container_name, self.template.labels or {}, {}
        )
        changed = self.diff_to_last()
        folds = {
            "Overwritten by a rule": "\n".join(self.notices),
            "The API server": "\n".join(self.verdict),
            "YAML": self._readable(),
            "Difference to the template": self.diff_to_template(),
            "Difference to the last run": changed or ("none" if self.last else ""),
            "Python": self.to_python(),
            "kubectl": self.kubectl(),
            "Flyte": self.template.to_flyte(),
        }
        kept = {head: text for head, text in folds.items() if text}
        return card("Dry run", rows, kept)


def _verdict(pod: dict[str, Any], options: RunOptions) -> tuple[str, ...]:
    if options.local:
        return ("No API server was asked: the cell would run on this machine.",)
    from ..cluster.namespace import dry_run  # only here: the client library comes with it

    try:
        stored = dry_run(pod, options.context, options.namespace)
    except PodtaskError as error:
        return tuple(str(error).splitlines())
    lost = dropped(pod["spec"], stored["spec"], "spec")
    where = f"The API server accepts this pod in namespace {stored['metadata']['namespace']}"
    if lost:
        return (f"{where}, but drops: {', '.join(lost)}.", "These features are off in the cluster.")
    return (f"{where}.",)


def _diff(one: dict[str, Any], other: dict[str, Any], first: str, second: str) -> str:
    before, after = (yaml.safe_dump(_comparable(pod), sort_keys=True).splitlines() for pod in (one, other))
    return "\n".join(difflib.unified_diff(before, after, first, second, lineterm=""))


def _comparable(pod: dict[str, Any]) -> dict[str, Any]:
    """Returns a copy without what differs from run to run, and without our program."""
    made = _without_program(pod)
    metadata, spec = made.get("metadata", {}), made.get("spec", {})
    for field in ("name", "generateName", "ownerReferences"):
        metadata.pop(field, None)
    metadata.get("annotations", {}).pop(CELL, None)
    for label in LABELS_OF_A_RUN:
        metadata.get("labels", {}).pop(label, None)
    _leave_out(spec, "volumes", (VOLUME,))
    for container in spec.get("containers", []):
        _leave_out(container, "env", OF_A_RUN)
        _leave_out(container, "volumeMounts", (VOLUME,))
    return made


def _leave_out(there: dict[str, Any], part: str, names: tuple[str, ...]) -> None:
    if part in there:
        there[part] = [each for each in there[part] if each["name"] not in names]
        if not there[part]:
            del there[part]


def _without_program(pod: dict[str, Any]) -> dict[str, Any]:
    made = copy.deepcopy(pod)
    for container in made.get("spec", {}).get("containers", []):
        for part in ("command", "args"):
            if boot_program() in container.get(part, []):
                place = container[part].index(boot_program())
                # In batch mode more of it follows.
                container[part][place:] = ["(podtask's first program)"]
    return made

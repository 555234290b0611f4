"""``--dry-run``: the pod that a cell would get, what podtask changes in the template, and the server's answer."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import shlex
from dataclasses import dataclass
from html import escape
from typing import Any

import yaml

from ..api.check import server_dry_run
from ..api.submit import preview
from ..config.options import RunOptions
from ..display.status_line import mark_html
from ..errors import PodtaskError
from ..event_loop import loop
from ..formatting import abbreviate, call_source, html_card, value_source
from ..frontend import Tone
from ..manifest.diff import differences
from ..manifest.labels import (
    CELL_ANNOTATION,
    CELL_VOLUME,
    ENCLOSED_ANNOTATION,
    KERNEL_LABEL,
    NAME_LABEL,
    NOTEBOOK_LABEL,
    TASK_LABEL,
    USER_LABEL,
)
from ..manifest.pod_manifest import PodManifest
from ..manifest.retrying_job import retrying_job
from ..runner.bundle import boot_program
from ..runner.safe_text import safe_text
from ..template.card import spec_rows
from ..template.template import PodTemplate
from ..template.yaml_writer import dump_yaml

# What belongs to one run, and is left out of the comparison with the last run.
METADATA_OF_A_RUN = ("name", "generateName", "ownerReferences")
LABELS_OF_A_RUN = (TASK_LABEL, KERNEL_LABEL, USER_LABEL, NAME_LABEL, NOTEBOOK_LABEL)
VARIABLES_OF_A_RUN = ("PODTASK_KEY", "PODTASK_LOCK", "PODTASK_PORT")
VERDICT_MARKS = {Tone.NONE: "○", Tone.GOOD: "✓", Tone.WARN: "!", Tone.BAD: "✗"}
# Resource of a container -> argument of flytekit's Resources.
FLYTE_RESOURCES = {
    "cpu": "cpu",
    "memory": "mem",
    "nvidia.com/gpu": "gpu",
    "ephemeral-storage": "ephemeral_storage",
}
OPTIONS_NOT_IN_PYTHON = ("template", "env", "dry_run", "inputs", "outputs")


@dataclass(frozen=True)
class Preview:
    """A pod that was rendered and not created.

    Args:
        pod: The pod in wire form, without the name and key of a task.
        notices: One line for each field of the template that podtask overwrites.
        template: The user's pod template.
        options: Options of the cell.
        server_answer: What the API server says about the pod, in lines; the first one is the verdict.
        tone: Whether the API server accepts the pod, as the color of the verdict.
        last: The pod of the last run, without its key; empty before the first run.
    """

    pod: dict[str, Any]
    notices: tuple[str, ...]
    template: PodTemplate
    options: RunOptions
    server_answer: tuple[str, ...]
    tone: Tone
    last: dict[str, Any]

    @classmethod
    def from_options(cls, options: RunOptions, last: dict[str, Any], source: str = "") -> Preview:
        """Render a pod, and ask the API server about it unless the cell would run locally.

        Args:
            options: Options of the cell; the template is resolved.
            last: The pod of the last run, without its key; empty before the first run.
            source: Source of the cell, whose script metadata may require a version of Python.

        Raises:
            InputError: The template or an option is wrong.
        """
        manifest = preview(options, source)
        tone, answer = _ask_api_server(manifest.pod, options)
        template = PodTemplate.of(options.template)
        return cls(manifest.pod, manifest.notices, template, options, answer, tone, last)

    def to_yaml(self) -> str:
        """Return the pod in YAML, with a comment at each value that is not that of the template."""
        text = dump_yaml(self.pod)
        lines = text.splitlines()
        spec_line = lines.index("spec:")
        comments_above: dict[int, list[str]] = {}
        for change in differences(yaml.compose(text), self.pod, self.template.to_dict()):
            line = lines[change.line]
            if change.other_value is None:  # nothing of the template is lost
                if change.line > spec_line:  # a pod of its own always has its name and labels
                    lines[change.line] = f"{line}  # added"
                continue
            if change.one_line:
                lines[change.line] = f"{line}  # was: {abbreviate(change.other_value)}"
            else:
                key = f"{change.key} " if change.yaml_value is None else ""
                indent = " " * (len(line) - len(line.lstrip()))
                comment = f"{indent}# {key}was: {abbreviate(change.other_value)}"
                comments_above.setdefault(change.line, []).append(comment)
        return "".join(
            f"{each}\n"
            for number, line in enumerate(lines)
            for each in [*comments_above.get(number, []), line]
        )

    def to_python(self) -> str:
        """Return the template and the options as Python, without credentials and the values of ``--env``."""
        defaults = vars(RunOptions())
        changed = {
            name: getattr(self.options, name)
            for name, default in defaults.items()
            if name not in OPTIONS_NOT_IN_PYTHON and getattr(self.options, name) != default
        }
        return safe_text(
            "from podtask import PodTemplate, RunOptions\n\n"
            f"template = {self.template.to_python()}\n"
            f"options = {call_source('RunOptions.of', changed)}\n"
        )

    def to_flyte(self) -> str:
        """Return the template as Python for Flyte, and the arguments of ``@task`` that do what the cell's flags do."""
        resources = PodManifest(self.pod).primary_container.get("resources", {})
        is_sized = any((self.options.cpu, self.options.memory, self.options.gpu, self.options.limits))
        env = dict.fromkeys(dict(self.options.env), "...")
        arguments = {
            "pod_template": "template",
            "container_image": repr(self.options.image) if self.options.image else "",
            "requests": _flyte_resources(resources.get("requests", {})) if is_sized else "",
            "limits": _flyte_resources(resources.get("limits", {})) if is_sized else "",
            "environment": value_source(env) if env else "",
            "timeout": f"{self.options.timeout:g}" if self.options.timeout != RunOptions().timeout else "",
            "retries": str(self.options.retries or ""),
        }
        flags = ", ".join(f"{name}={source}" for name, source in arguments.items() if source)
        return safe_text(f"{self.template.to_flyte()}\n# With the flags of this cell: @task({flags})\n")

    def kubectl(self) -> str:
        """Return a shell command that has the API server check this pod, without credentials; it creates nothing."""
        flags = "".join(
            f" {flag} {shlex.quote(value)}"
            for flag, value in (("--context", self.options.context), ("-n", self.options.namespace))
            if value
        )
        text = dump_yaml(self.pod)
        return safe_text(
            f"kubectl{flags} create --dry-run=server --validate=strict -o yaml -f - <<'EOF'\n{text}EOF"
        )

    def diff_to_template(self) -> str:
        """Return the difference from the template to the pod, as a unified diff; empty for none."""
        return _diff(self.template.to_dict(), self.pod, "template", "pod")

    def diff_to_last(self) -> str:
        """Return the difference from the last run to this one, as a unified diff; empty for none."""
        return _diff(self.last, self.pod, "last run", "this one") if self.last else ""

    def job_yaml(self) -> str:
        """Return the Job that creates the pod of a detached cell with retries, without the pod; empty without one."""
        options = self.options
        if options.local or not (options.detach and options.retries):
            return ""
        job = retrying_job(PodManifest(self.pod), options.retries, options.keep)
        job["spec"]["template"] = "(the pod)"
        return dump_yaml(job)

    def __repr__(self) -> str:
        comments = [*self.server_answer, *self.options.notices, *self.notices]
        if job := self.job_yaml():
            comments += ["A Job creates the pod:", *(f"  {line}" for line in job.splitlines())]
        return safe_text("".join(f"# {line}\n" for line in comments) + self._short_yaml())

    def _short_yaml(self) -> str:
        """Return the YAML without the text of podtask's first program, which has forty lines."""
        return dataclasses.replace(self, pod=_without_program(self.pod)).to_yaml()

    def _repr_html_(self) -> str:
        primary, labels = self.template.primary_container_name, self.template.labels or {}
        verdict = f"{mark_html(self.tone, VERDICT_MARKS[self.tone])} {escape(self.server_answer[0])}"
        rows = [("API server", verdict), *spec_rows(self.pod["spec"], primary, labels, {})]
        sections = {
            "From files of the project": "\n".join(self.options.notices),
            "Overwritten by podtask": "\n".join(self.notices),
            "The API server": "\n".join(self.server_answer[1:]),
            "YAML": self._short_yaml(),
            "Job that creates the pod": self.job_yaml(),
            "Difference to the template": self.diff_to_template(),
            "Difference to the last run": self.diff_to_last() or ("none" if self.last else ""),
            "Python": self.to_python(),
            "kubectl": self.kubectl(),
            "Flyte": self.to_flyte(),
        }
        return html_card("Dry run", rows, {head: text for head, text in sections.items() if text}, {"YAML"})


def _ask_api_server(pod: dict[str, Any], options: RunOptions) -> tuple[Tone, tuple[str, ...]]:
    if options.local:
        return Tone.NONE, ("The cell would run on this machine: no API server was asked.",)
    try:
        answer = loop().run(server_dry_run(pod, options))
    except PodtaskError as error:
        return Tone.BAD, tuple(str(error).splitlines())
    message = f"The API server accepts this pod in namespace {answer.namespace}"
    if answer.dropped_fields:
        return Tone.WARN, (
            f"{message}, but drops: {', '.join(answer.dropped_fields)}.",
            "The features of these fields are disabled in the cluster.",
        )
    return Tone.GOOD, (f"{message}.",)


def _flyte_resources(quantities: dict[str, Any]) -> str:
    """Return the source of flytekit's Resources; empty without a quantity that it takes."""
    given = {name: quantities[key] for key, name in FLYTE_RESOURCES.items() if key in quantities}
    return call_source("Resources", {name: str(value) for name, value in given.items()}) if given else ""


def _diff(old_pod: dict[str, Any], new_pod: dict[str, Any], old_name: str, new_name: str) -> str:
    old, new = (
        dump_yaml(_without_parts_of_a_run(pod), sort_keys=True).splitlines() for pod in (old_pod, new_pod)
    )
    return "\n".join(difflib.unified_diff(old, new, old_name, new_name, lineterm=""))


def _without_parts_of_a_run(pod: dict[str, Any]) -> dict[str, Any]:
    """Return a copy without what differs from run to run, and without podtask's program."""
    shown = _without_program(pod)
    metadata, spec = shown.get("metadata", {}), shown.get("spec", {})
    for field in METADATA_OF_A_RUN:
        metadata.pop(field, None)
    for annotation in (CELL_ANNOTATION, ENCLOSED_ANNOTATION):
        metadata.get("annotations", {}).pop(annotation, None)
    for label in LABELS_OF_A_RUN:
        metadata.get("labels", {}).pop(label, None)
    _remove_items(spec, "volumes", (CELL_VOLUME,))
    for container in spec.get("containers", []):
        _remove_items(container, "env", VARIABLES_OF_A_RUN)
        _remove_items(container, "volumeMounts", (CELL_VOLUME,))
    return shown


def _remove_items(owner: dict[str, Any], field: str, names: tuple[str, ...]) -> None:
    if field in owner:
        owner[field] = [each for each in owner[field] if each["name"] not in names]
        if not owner[field]:
            del owner[field]


def _without_program(pod: dict[str, Any]) -> dict[str, Any]:
    shown = copy.deepcopy(pod)
    for container in shown.get("spec", {}).get("containers", []):
        for field in ("command", "args"):
            if boot_program() in container.get(field, []):
                start = container[field].index(boot_program())
                # In batch mode, more of the program follows.
                container[field][start:] = ["(podtask's first program)"]
    return shown

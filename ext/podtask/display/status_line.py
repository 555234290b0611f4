"""The line under a cell: what its task does, or how it ended, as text and as HTML. Pure."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from ..backends.base import Phase
from ..config.options import BATCH, EXEC
from ..config.quantities import byte_size
from ..diagnosis.model import GATED
from ..frontend import Status, Tone, keep_together
from ..lifecycle.outcome import Outcome
from ..lifecycle.updates import Usage
from ..runner.durations import HOURS_UP_TO, MINUTES_UP_TO, SECONDS_UP_TO, duration, exact_duration

MAX_LISTED_NAMES = 6
MIN_LISTED_BYTES = 1 << 20  # smaller values are named without type and size
MIN_TOTAL_SECONDS = 5.0  # that a task is older than its phase, until both times are shown
# What a mark says without words. Mixed with the color of the text, a color is legible on light and dark pages.
COLORS = {
    Tone.GOOD: "var(--jp-success-color1,var(--vscode-charts-green,#2da44e))",
    Tone.BAD: "var(--jp-error-color1,var(--vscode-charts-red,#e5484d))",
    Tone.WARN: "var(--jp-warn-color1,var(--vscode-charts-orange,#d97706))",
}
# What the phases are called; {} is the text of the phase, which may be empty.
PHASES = {
    "Packing": "packing the inputs",
    "Connecting": "connecting to the cluster",
    "Creating": "creating the pod {}",
    "Pending": "waiting for a node: {}",
    "Unschedulable": "waiting for a node: {}",
    "Adding node": "waiting for a node: {}",
    "Initializing": "starting: {}",
    GATED: "queued: {}",
    "Pulling": "pulling the image",
    "Installing": "installing {}",
    "Fetching": "fetching the result: {}",
}
ENDS = {
    "error": (Tone.BAD, "✗", "failed after"),
    "crashed": (Tone.BAD, "✗", "crashed after"),
    "timeout": (Tone.BAD, "✗", "timed out after"),
    "terminated": (Tone.BAD, "✗", "was terminated after"),
    "failed": (Tone.BAD, "✗", "failed after"),
    "cancelled": (Tone.WARN, "■", "cancelled after"),
    "stopped": (Tone.WARN, "■", "stopped after"),
}
CHANNELS = {EXEC: "connected by exec", BATCH: "in batch mode"}
ADVICE_STYLE = "display:block;opacity:.75;text-indent:0"
# Wrapped lines begin below the first word, after the triangle and the mark.
SUMMARY_STYLE = "cursor:pointer;padding-left:3.75ch;text-indent:-3.75ch"
# Writes a duration as runner/durations.py does.
DURATION_JS = (
    f"v=>{{const m=Math.floor(v/60+.5),h=Math.floor(m/60);return v<{SECONDS_UP_TO}?Math.floor(v)+' s':"
    f"m<{MINUTES_UP_TO}?m+' min':h<{HOURS_UP_TO}?h+' h'+(m%60?` ${{m%60}} min`:''):Math.floor(h/24)+' d'}}"
)
# Counts the seconds in the page, so that the line is replaced only if it says something else: a selected text
# stays selected. A line that is not replaced for two minutes belongs to a task that this page does not follow.
COUNT_JS = (
    f"const w={DURATION_JS},l=document.currentScript.parentNode,t=Date.now();"
    "if(Math.abs(t-at)<12e4){const n=setInterval(()=>{"
    "const p=(Date.now()-t)/1e3;if(!l.isConnected||p>120)return clearInterval(n);"
    "l.querySelectorAll('[data-s]').forEach(e=>{const x=w(Math.max(0,+e.dataset.s+p*e.dataset.d));"
    "if(e.firstChild.data!==x)e.firstChild.data=x})},500)}"
)


# Which details are unfolded, by their key, in the page.
OPEN_STATES_JS = "(window.podtaskOpen=window.podtaskOpen||{})"


@dataclass(frozen=True)
class Clock:
    """A time that counts while the line does not change.

    Args:
        seconds: Its value.
        step: 1 if it counts up, -1 if it counts down.
        before: Text before it.
        after: Text after it.
    """

    seconds: float
    step: int = 1
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        return f"{self.before}{duration(self.seconds)}{self.after}"

    @property
    def html(self) -> str:
        """The clock as HTML, which the page counts on."""
        shown = duration(self.seconds)
        counted = f'<span data-s="{self.seconds:.1f}" data-d="{self.step}">{shown}</span>'
        return f'<span style="white-space:nowrap">{escape(self.before)}{counted}{escape(self.after)}</span>'


@dataclass(frozen=True)
class StatusLine:
    """The line under a cell.

    Args:
        tone: Color of the mark.
        mark: One character.
        parts: What the line says, without times.
        clocks: Times that are shown after the first part.
        live: What the cell uses at the moment, after the times; may be empty.
        advice: What to do, as a second line; may be empty.
        ended: Whether the task has ended, so that this is its last line.
    """

    tone: Tone
    mark: str
    parts: tuple[str, ...]
    clocks: tuple[Clock, ...] = ()
    advice: str = ""
    ended: bool = False
    live: str = ""

    @property
    def text(self) -> str:
        """The line as text, without its mark and the advice."""
        return " · ".join([self.parts[0], *map(str, self.clocks), *self._live_part, *self.parts[1:]])

    @property
    def _live_part(self) -> list[str]:
        return [self.live] if self.live else []

    def status(self, key: str = "", details: str = "") -> Status:
        """Return the line for a screen.

        Args:
            key: Identifies the task on its page.
            details: What the line unfolds, as HTML; may be empty.
        """
        return Status(
            text=self.text,
            tone=self.tone,
            mark=self.mark,
            advice=self.advice,
            html=self._html(key, details),
            version=(self.mark, self.parts, self.advice, details),
            live=self.live,
            ended=self.ended,
        )

    def _html(self, key: str, details: str) -> str:
        first, *others = (keep_together(escape(text)) for text in self.parts)
        live = [keep_together(escape(text)) for text in self._live_part]
        texts = keep_together(" · ").join([first, *(each.html for each in self.clocks), *live, *others])
        advice = f'<span style="{ADVICE_STYLE}">{escape(self.advice)}</span>' if self.advice else ""
        count = count_script() if self.clocks else ""
        line = f"{mark_html(self.tone, self.mark)} {texts}{advice}{count}"
        if not details:
            return f"<div>{line}</div>"
        return fold(key, f'<summary style="{SUMMARY_STYLE}">{line}</summary>', details)


@dataclass(frozen=True)
class TaskState:
    """What the line of a task that has not ended depends on.

    Args:
        phase: The current phase.
        phase_seconds: Seconds since the phase began.
        seconds: Seconds since the task began.
        start_time_left: Seconds until a task that has not started fails.
        running: Whether the cell has started.
        local: Whether the cell runs in a process on this machine.
        name: Name that the user gave the task; may be empty.
        sidecars: Sidecars that do not start: name -> cause.
        asking: Whether the cell waits for the user's answer.
        stops: How often the user has pressed stop.
        usage: What the container used in the last second; None if it is not known.
    """

    phase: Phase
    phase_seconds: float = 0.0
    seconds: float = 0.0
    start_time_left: float = 0.0
    running: bool = False
    local: bool = False
    name: str = ""
    sidecars: Mapping[str, str] = field(default_factory=dict)
    asking: bool = False
    stops: int = 0
    usage: Usage | None = None

    @property
    def line(self) -> StatusLine:
        """The line under the cell."""
        own_name = f"{self.name} · " if self.name else ""
        clocks = [Clock(self.phase_seconds)]
        advice, tone, mark, live = "", Tone.NONE, "●" if self.running else "○", ""
        if self.stops:
            tone, said = Tone.WARN, self._stopping
        elif self.asking:
            tone, said = Tone.WARN, "waiting for your input"
        elif self.running and self.phase.name == "Running":
            tone, said = Tone.GOOD, "running, local" if self.local else "running in a pod"
            if (
                self.usage is not None and not self.local
            ):  # a process on this machine has no limits of its own
                live = usage_text(self.usage)
            if self.phase.hint:  # its node is silent
                tone, said, advice = Tone.WARN, f"{said}: {self.phase.text}", self.phase.hint
        else:
            said, advice = phase_text(self.phase, self.local), self.phase.hint
            if self.phase.waiting or self.phase.limit is not None:
                tone = Tone.WARN
                clocks += self._waiting_clocks
        sidecars = [f"sidecar {name} does not start" for name in self.sidecars]
        if sidecars:
            tone = Tone.WARN
            advice = advice or "; ".join(self.sidecars.values())
        return StatusLine(tone, mark, (own_name + said, *sidecars), tuple(clocks), advice, live=live)

    @property
    def _stopping(self) -> str:
        if self.stops > 1:
            return (
                "stopping; the process is being ended" if self.local else "stopping; the pod is being deleted"
            )
        if not self.running:
            return "stopping"
        return f"stopping; press again to {'end the process' if self.local else 'delete the pod'}"

    @property
    def _waiting_clocks(self) -> list[Clock]:
        clocks: list[Clock] = []
        if self.seconds >= self.phase_seconds + MIN_TOTAL_SECONDS:
            clocks.append(Clock(self.seconds, after=" in total"))
        limit = self.phase.limit
        if self.phase.name == GATED and limit is None:  # the time in a queue does not count
            return clocks
        left = self.start_time_left if limit is None else max(0.0, limit - self.phase_seconds)
        return [*clocks, Clock(left, -1, before="gives up in ")]


def usage_text(usage: Usage) -> str:
    """Return what a container uses of its limits: ``1.4 of 2 CPUs, 2.5 of 8 GiB``."""
    is_large = (usage.memory_limit or usage.memory) >= 1 << 30
    unit, name = (1 << 30, "GiB") if is_large else (1 << 20, "MiB")
    memory = f"{usage.memory / unit:.{1 if is_large else 0}f}"
    of_cpu = f" of {usage.cpu_limit:g}" if usage.cpu_limit else ""
    of_memory = f" of {usage.memory_limit / unit:.3g}" if usage.memory_limit else ""
    return f"{usage.cpu:.1f}{of_cpu} CPUs, {memory}{of_memory} {name}"


def phase_text(phase: Phase, local: bool = False) -> str:
    """Return a phase of a task that has not ended in a user's words: what it waits for, and why."""
    if local and phase.name in ("Pending", "Running"):
        return "starting, local"
    if phase.text.startswith("image "):
        return f"waiting for {phase.text}"
    if phase.text.startswith("on node "):
        return f"starting {phase.text}"
    if phase.text.startswith("pulling "):
        return phase.text
    words = PHASES.get(phase.name, "starting: {}" if phase.name in ("Running", "Starting") else "waiting: {}")
    return words.format(phase.text) if phase.text else words.removesuffix("{}").rstrip(" :")


def end_line(
    outcome: Outcome,
    seconds: float,
    *,
    where: str = "in a pod",
    name: str = "",
    handle: str = "",
    stopped: bool = False,
    inputs: Mapping[str, tuple[str, int]] | None = None,
    sidecars: Sequence[str] = (),
    channel: str = "",
) -> StatusLine:
    """Return the last line of a task: how it ended, and what happened to its values.

    Args:
        outcome: The outcome of the task.
        seconds: Its duration.
        where: Where it ran: "in a pod", or "local".
        name: Name that the user gave the task; may be empty.
        handle: Variable with the handle of a detached task, whose values the notebook does not have yet; may be empty.
        stopped: Whether the user has stopped the cell.
        inputs: The variables that were sent: name -> (type, bytes).
        sidecars: Names of the sidecars that did not start.
        channel: How the runner was reached; may be empty. It is only said if that is unusual.
    """
    local = where == "local"
    is_interrupt = isinstance(outcome.error, KeyboardInterrupt) and outcome.status != "ok"
    status = "stopped" if is_interrupt and (stopped or outcome.status != "cancelled") else outcome.status
    tone, mark, how = (Tone.GOOD, "✓", "") if status == "ok" else ENDS.get(status, ENDS["failed"])
    place = ", local" if local else f" {where}"
    first = f"{how} {exact_duration(seconds)}{place}".lstrip()
    parts = [f"{name} · {first}" if name else first]
    parts += [CHANNELS[channel]] if channel in CHANNELS else []
    parts += value_parts(outcome, inputs or {}, "in the process" if local else "in the pod", handle)
    if outcome.left_running:
        parts.append(f"left running and ended: {', '.join(outcome.left_running)}")
    parts += [f"sidecar {each} did not start" for each in sidecars]
    return StatusLine(tone, mark, (*parts, *outcome.notes), ended=True)


def value_parts(
    outcome: Outcome, inputs: Mapping[str, tuple[str, int]], place: str, handle: str = ""
) -> list[str]:
    """Return what a line says of the values that were sent, returned and not returned.

    Args:
        outcome: The outcome of the task.
        inputs: The variables that were sent: name -> (type, bytes).
        place: "in the pod" or "in the process".
        handle: Variable with the handle that sets the returned values on request; empty if they are set.
    """
    sent = [(name, kind, size) for name, (kind, size) in inputs.items() if size >= MIN_LISTED_BYTES]
    parts = _listed("in", [each for each in sent if not each[0].startswith("__")])
    back = _listed("back", outcome.returned)
    if back and handle:
        back[0] += f"; {handle}.assign() sets {'it' if len(outcome.returned) == 1 else 'them'}"
    parts += back
    for name, kind, why in outcome.not_returned:
        parts.append(f"{name} ({kind}) was not returned: {why}")
    if outcome.never_set:
        parts.append(f"never set: {', '.join(outcome.never_set)}")
    if outcome.left_in_pod:
        parts.append(f"not brought back: {_names([name for name, _ in outcome.left_in_pod])}")
    if outcome.changed_inputs:
        them = "it" if len(outcome.changed_inputs) == 1 else "them"
        parts.append(f"changed {place}: {_names(outcome.changed_inputs)}; -o brings {them} back")
    return parts


def count_script() -> str:
    """Return the script that counts the clocks of the element that contains it."""
    return f"<script>{{const at={time.time() * 1000:.0f};{COUNT_JS}}}</script>"


def mark_html(tone: Tone, mark: str) -> str:
    """Return a mark in its color."""
    return f'<span style="color:{tone_color(tone)};font-weight:600">{escape(mark)}</span>'


def tone_color(tone: Tone) -> str:
    """Return the color of a tone in CSS: that of the theme, mixed with that of the text."""
    color = COLORS.get(tone)
    return f"color-mix(in srgb,{color} 60%,currentColor)" if color else "currentColor"


def fold(key: str, summary: str, content: str) -> str:
    """Return a part that can be unfolded. It stays unfolded when a newer version replaces it.

    Args:
        key: Identifies the part on its page.
        summary: The ``summary`` element.
        content: HTML of what is unfolded.
    """
    # A script runs before the page is drawn again, so nothing collapses for a moment.
    restore_state = f"{{const d=document.currentScript.parentNode;d.open=!!{OPEN_STATES_JS}[d.dataset.key]}}"
    return (
        f'<details style="white-space:normal" data-key="{escape(key)}" '
        f'ontoggle="{OPEN_STATES_JS}[this.dataset.key]=this.open">{summary}'
        f"{content}<script>{restore_state}</script></details>"
    )


def _listed(word: str, values: Sequence[tuple[str, str, int]]) -> list[str]:
    """Return a list with one text that names the values, the largest first; an empty list without values."""
    if not values:
        return []
    ordered = sorted(values, key=lambda value: -value[2])
    return [f"{word}: {_names([_sized(*each) for each in ordered])}"]


def _sized(name: str, kind: str, size: int) -> str:
    return f"{name} ({kind}, {byte_size(size)})" if size >= MIN_LISTED_BYTES else name


def _names(names: Sequence[str]) -> str:
    shown = list(names[:MAX_LISTED_NAMES])
    if len(names) > MAX_LISTED_NAMES:
        shown.append(f"{len(names) - MAX_LISTED_NAMES} more")
    return ", ".join(shown)

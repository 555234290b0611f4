"""The status of a task on a terminal, and in a script whose stderr is a file."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from podtask.display.status_line import Clock
from podtask.display.task_table import CallLine, calls_status
from podtask.frontend import Notebook, Status, Terminal, Tone

ERASE_LINE = "\r\x1b[K"


class Tty(io.StringIO):
    """A terminal that keeps what was written."""

    def isatty(self) -> bool:
        """Return True."""
        return True


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> Tty:
    """Make stdout and stderr the same terminal."""
    terminal = Tty()
    monkeypatch.setattr("podtask.frontend.sys", SimpleNamespace(stdout=terminal, stderr=terminal))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "24")
    return terminal


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace the clock of the screens by a list that holds the time."""
    now = [100.0]
    monkeypatch.setattr("podtask.frontend.time.monotonic", lambda: now[0])
    return now


def status(text: str, version: object = None, ended: bool = False, advice: str = "") -> Status:
    return Status(text, mark="●", advice=advice, version=version, ended=ended)


def test_one_line_is_rewritten(tty: Tty) -> None:
    """U24: on a terminal, each status replaces the one before, and only the last one stays."""
    terminal = Terminal()
    terminal.show_status(status("running · 1 s"))
    terminal.show_status(status("running · 2 s"))
    terminal.show_status(status("2.0 s in a pod", ended=True))
    assert tty.getvalue() == f"● running · 1 s{ERASE_LINE}● running · 2 s{ERASE_LINE}● 2.0 s in a pod\n"


def test_output_takes_the_place_of_the_line(tty: Tty) -> None:
    """The line is erased before output, and shown again only below a complete line."""
    terminal = Terminal()
    terminal.show_status(status("running · 1 s"))
    terminal.write("stdout", "half")
    terminal.show_status(status("running · 2 s"))
    terminal.write("stdout", " a line\n")
    terminal.show_status(status("running · 3 s"))
    assert tty.getvalue() == f"● running · 1 s{ERASE_LINE}half a line\n● running · 3 s"


def test_end_begins_a_line_of_its_own(tty: Tty) -> None:
    """After output without a line break, the end of the task is on the next line."""
    terminal = Terminal()
    terminal.write("stdout", "half")
    terminal.show_status(status("1.0 s in a pod", ended=True))
    assert tty.getvalue() == "half\n● 1.0 s in a pod\n"


def test_long_line_and_advice_are_wrapped_and_erased(tty: Tty) -> None:
    """A line that is wider than the terminal is wrapped; all its rows are erased."""
    terminal = Terminal()
    terminal.show_status(status("waiting for a node: too little free nvidia.com/gpu", advice="Request less."))
    rows = tty.getvalue().split("\n")
    assert rows == ["● waiting for a node: too little free", "  nvidia.com/gpu", "  Request less."]
    terminal.show_line("a note")
    assert tty.getvalue().endswith(f"  Request less.{ERASE_LINE}" + "\x1b[1A\x1b[K" * 2 + "a note\n")


def test_line_is_wrapped_before_a_separator(tty: Tty) -> None:
    """U24: a part that fits in a row is not broken, and a row begins with the separator; the last line, too."""
    text = "waiting for a node: no such device · 3 s · 12 s in total · gives up in 30 min"
    terminal = Terminal()
    terminal.show_status(status(text))
    rows = [
        "● waiting for a node: no such device",
        "  · 3 s · 12 s in total",
        "  · gives up in 30 min",
    ]
    assert tty.getvalue().split("\n") == rows
    terminal.show_status(
        status("0.6 s in pod podtask-3f9c2a71d0 · back: total · never set: scale", ended=True)
    )
    assert tty.getvalue().endswith("● 0.6 s in pod podtask-3f9c2a71d0\n  · back: total · never set: scale\n")


def test_mark_has_the_color_of_its_tone(tty: Tty, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, the mark is colored, unless NO_COLOR is set."""
    monkeypatch.delenv("NO_COLOR")
    Terminal().show_status(Status("0.6 s in a pod", mark="✓", tone=Tone.GOOD, ended=True))
    assert tty.getvalue() == "\x1b[32m✓\x1b[0m 0.6 s in a pod\n"


def test_without_a_terminal_a_phase_is_printed_once_if_it_lasts(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """U24: without a terminal, stderr gets a line for a phase that lasts 5 s, and the end once."""
    terminal = Terminal()
    for seconds in range(12):
        clock[0] = 100.0 + seconds
        name = "connecting" if seconds < 3 else "waiting for a node"
        terminal.show_status(status(f"{name} · {seconds} s", version=name))
    terminal.show_status(status("12.0 s in a pod", ended=True))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "● waiting for a node · 8 s\n● 12.0 s in a pod\n"


def test_log_gets_the_number_of_calls_that_have_ended(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """U24: without a terminal, a map that runs is one line, and its end has a line for each call."""
    terminal = Terminal()
    for seconds in range(7):
        clock[0] = 100.0 + seconds
        calls = [
            CallLine(Tone.GOOD, "✓", "0 · 3.1 s"),
            CallLine(Tone.GOOD, "●", "1 · running", Clock(seconds)),
        ]
        terminal.show_status(calls_status(calls, 1, 2))
    ended = [CallLine(Tone.GOOD, "✓", "0 · 3.1 s"), CallLine(Tone.GOOD, "✓", "1 · 7.0 s")]
    terminal.show_status(calls_status(ended, 2, 2, ended=True))
    assert capsys.readouterr().err == "1 of 2 done\n✓ 0 · 3.1 s\n✓ 1 · 7.0 s\n2 of 2 done\n"


def test_detached_task_shows_its_end_only(tty: Tty, clock: list[float]) -> None:
    """U22: while the prompt is shown, a detached task writes no status line; its end comes once."""
    terminal = Terminal(live=False)
    for seconds in (0, 10, 20):
        clock[0] = 100.0 + seconds
        terminal.show_status(status("train · running", version=1))
    terminal.show_status(status("train · 20.0 s in a pod", ended=True))
    assert tty.getvalue() == "● train · 20.0 s in a pod\n"


def test_line_is_erased_before_a_question(tty: Tty, monkeypatch: pytest.MonkeyPatch) -> None:
    """U19: the question takes the place of the line, which is shown again after the answer."""
    terminal = Terminal()
    monkeypatch.setattr("builtins.input", lambda prompt: tty.write(f"{prompt}yes\n") and "yes")
    terminal.show_status(status("waiting for your input · 0 s"))
    assert terminal.ask_for_input("sure? ", password=False) == "yes"
    terminal.show_status(status("running · 0 s"))
    assert tty.getvalue() == f"● waiting for your input · 0 s{ERASE_LINE}sure? yes\n● running · 0 s"


def test_what_changes_all_the_time_does_not_replace_the_line_of_a_notebook_each_time(
    clock: list[float],
) -> None:
    """U26: a line that differs in what the cell uses alone is replaced after 5 s; one that is the same, after a minute."""
    sent: list[str] = []
    shell = SimpleNamespace(
        display_pub=SimpleNamespace(publish=lambda data, **_: sent.append(data["text/plain"]))
    )
    screen = Notebook(shell)
    for seconds, live in (
        (0, "1 CPUs"),
        (1, "2 CPUs"),
        (4, "2 CPUs"),
        (1, "3 CPUs"),
        (50, "3 CPUs"),
        (20, "3 CPUs"),
        (40, "3 CPUs"),
    ):
        clock[0] += seconds
        screen.show_status(Status(live, live=live))
    assert sent == ["1 CPUs", "2 CPUs", "3 CPUs", "3 CPUs"]
    screen.show_status(Status("asking", live="3 CPUs", version=1))
    assert sent[-1] == "asking"


def test_calls_of_a_map_are_replaced_when_one_of_them_changes(clock: list[float]) -> None:
    """U26: while only times count, the page counts them, and what the user has selected stays selected."""
    sent: list[str] = []
    shell = SimpleNamespace(
        display_pub=SimpleNamespace(publish=lambda data, **_: sent.append(data["text/html"]))
    )
    screen = Notebook(shell)
    for seconds, said in ((0.0, "starting"), (1.0, "running"), (2.0, "running"), (3.0, "running")):
        clock[0] += 1
        screen.show_status(calls_status([CallLine(Tone.NONE, "●", f"0 · {said}", Clock(seconds))], 0, 1))
    assert len(sent) == 2
    assert '<span data-s="1.0" data-d="1">1 s</span>' in sent[1]
    assert sent[1].count("<script>") == 1
    screen.show_status(calls_status([CallLine(Tone.GOOD, "✓", "0 · 4.0 s")], 1, 1, ended=True))
    assert "<script>" not in sent[2]

"""Displays and streams of a cell in a real kernel on the local backend are as those of the kernel."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.notebook import CellOutput, Kernel

HEAD = "%%podtask\n"


@pytest.fixture(scope="module")
def local_kernel() -> Iterator[Kernel]:
    """Yield a kernel whose cells run on this machine."""
    kernel = Kernel({**os.environ, "PODTASK_BACKEND": "local", "KUBECONFIG": "/nonexistent"})
    try:
        kernel.run("%load_ext podtask")
        yield kernel
    finally:
        kernel.close()


def shown(ran: CellOutput) -> list[dict[str, object]]:
    """Return the displays of the cell, without podtask's own lines."""
    assert ran.error is None, ran.error
    return [each for each in ran.displays if "<div style" not in str(each.get("text/html"))]


FORMS = [
    ("_repr_html_", "'<b>x</b>'", "text/html", "<b>x</b>"),
    ("_repr_markdown_", "'*x*'", "text/markdown", "*x*"),
    ("_repr_svg_", "'<svg/>'", "image/svg+xml", "<svg/>"),
    ("_repr_png_", "b'\\x89PNG'", "image/png", "iVBORw=="),
    ("_repr_latex_", "'$x$'", "text/latex", "$x$"),
    ("_repr_json_", "{'a': [1]}", "application/json", {"a": [1]}),
    (
        "_repr_mimebundle_",
        "{'application/vnd.plotly.v1+json': {'data': []}}",
        "application/vnd.plotly.v1+json",
        {"data": []},
    ),
]


@pytest.mark.feature("N01")
@pytest.mark.parametrize(("method", "value", "mime", "expected"), FORMS, ids=[f[0] for f in FORMS])
def test_every_form_of_an_object_is_shown(
    local_kernel: Kernel, method: str, value: str, mime: str, expected: object
) -> None:
    """Each representation of an object arrives with its MIME type, as a display and as a result."""
    source = f"class A:\n    def {method}(self, **_): return {value}\n    def __repr__(self): return 'A'\n"
    ran = local_kernel.run(HEAD + source + "display(A())\nA()")
    assert shown(ran) == [{mime: expected, "text/plain": "A"}]
    assert ran.result == {mime: expected, "text/plain": "A"}


def test_object_that_shows_itself(local_kernel: Kernel) -> None:
    """_ipython_display_ replaces the other representations; the value is still the result."""
    ran = local_kernel.run(
        HEAD + "class A:\n    def _ipython_display_(self): print('mine')\n"
        "    def _repr_html_(self): return 'not this'\ndisplay(A())\nA()"
    )
    assert (ran.stdout, shown(ran), ran.result) == ("mine\nmine\n", [], None)
    assert local_kernel.run("print(type(_).__name__)").stdout == "A\n"


def test_failed_representation_does_not_hide_the_others(local_kernel: Kernel) -> None:
    """A representation that fails is reported on stderr, and the others are shown."""
    ran = local_kernel.run(
        HEAD + "class A:\n    def _repr_html_(self): return 1 / 0\n"
        "    def _repr_svg_(self): raise NotImplementedError\n"
        "    def _repr_latex_(self): return '$x$'\n    def __repr__(self): return 'A'\ndisplay(A())"
    )
    assert shown(ran) == [{"text/latex": "$x$", "text/plain": "A"}]
    assert "ZeroDivisionError" in ran.stderr
    assert "NotImplementedError" not in ran.stderr


def test_handle_updates_its_display(local_kernel: Kernel) -> None:
    """display(display_id=True) returns a handle that updates the display."""
    local_kernel.start(HEAD + "h = display('one', display_id=True)\nh.update('two')\nprint(type(h).__name__)")
    seen = []
    text = ""
    for message in local_kernel.messages(60):
        content = message["content"]
        text += content.get("text", "")
        if message["msg_type"] in ("display_data", "update_display_data"):
            seen.append((message["msg_type"], content["data"]["text/plain"], content["transient"]))
    ours = [each for each in seen if each[1] in ("'one'", "'two'")]
    assert [each[:2] for each in ours] == [
        ("display_data", "'one'"),
        ("update_display_data", "'two'"),
    ]
    assert ours[0][2] == ours[1][2]
    assert text == "DisplayHandle\n"


def test_clear_output_waits_for_the_next_output(local_kernel: Kernel) -> None:
    """clear_output(wait=True) clears the cell when the next output arrives."""
    local_kernel.start(HEAD + "print('old')\nclear_output(wait=True)\nprint('new')")
    kinds = [
        message["content"].get("text") or message["msg_type"]
        for message in local_kernel.messages(60)
        if message["msg_type"] in ("stream", "clear_output")
    ]
    assert kinds == ["old\n", "clear_output", "new\n"]


@pytest.mark.feature("N01")
def test_imports_of_the_real_ipython_show_through_us(local_kernel: Kernel) -> None:
    """If IPython is installed, its display, clear_output and update_display work too."""
    ran = local_kernel.run(
        HEAD + "import IPython\nfrom IPython.display import HTML, display, update_display\n"
        "from IPython.core.display import Markdown\n"
        "h = display(HTML('<b>one</b>'), display_id='here')\n"
        "update_display(Markdown('*two*'), display_id='here')\n"
        "h.update(HTML('<i>three</i>'))\n"
        "print(IPython.get_ipython() is get_ipython())"
    )
    assert ran.stdout == "True\n"
    forms = [next(each[mime] for mime in each if mime != "text/plain") for each in shown(ran)]
    assert forms == ["<b>one</b>", "*two*", "<i>three</i>"]


@pytest.mark.feature("N01")
def test_figures_are_shown_at_the_end_and_by_show(local_kernel: Kernel) -> None:
    """Open figures become PNG once, at plt.show() or at the end of the cell, and are closed."""
    pytest.importorskip("matplotlib")
    ran = local_kernel.run(
        HEAD + "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nprint('between')\n"
        "plt.figure()\nplt.plot([2, 1])\nimport os\nprint(os.environ.get('MPLBACKEND'), plt.get_fignums())"
    )
    figures = [each for each in shown(ran) if "image/png" in each]
    assert [each["text/plain"] for each in figures] == ["<Figure size 640x480 with 1 Axes>"] * 2
    assert all(str(each["image/png"]).startswith("iVBOR") for each in figures)
    assert ran.stdout == "between\nNone [1]\n"


def test_figure_is_shown_when_the_cell_fails(local_kernel: Kernel) -> None:
    """A figure that was drawn before an error is shown, as in the kernel."""
    pytest.importorskip("matplotlib")
    ran = local_kernel.run(HEAD + "import matplotlib.pyplot as plt\nplt.plot([1, 2])\n1 / 0")
    assert any("image/png" in each for each in ran.displays)
    assert ran.error is not None
    assert ran.error[0] == "ZeroDivisionError"


def test_backend_of_the_user_is_kept(local_kernel: Kernel) -> None:
    """A backend that the user selects is kept; a figure as the last expression is still shown."""
    pytest.importorskip("matplotlib")
    ran = local_kernel.run(
        "%%podtask --env MPLBACKEND=svg\nimport matplotlib.pyplot as plt\nfig = plt.figure()\n"
        "fig.add_subplot()\nprint(plt.get_backend())\nplt.close()\nfig"
    )
    assert ran.stdout == "svg\n"
    assert shown(ran) == []
    assert ran.result is not None
    assert ran.result["image/png"].startswith("iVBOR")


def test_table_of_pandas(local_kernel: Kernel) -> None:
    """A data frame arrives as HTML and as text."""
    pytest.importorskip("pandas")
    ran = local_kernel.run(HEAD + "import pandas\npandas.DataFrame({'a': [1, 2]})")
    assert ran.result is not None
    assert "<table" in ran.result["text/html"]
    assert "0  1" in ran.result["text/plain"]


def test_progress_bar_stays_in_its_line(local_kernel: Kernel) -> None:
    """Progress bars of tqdm and tqdm.auto redraw one line on stderr, without a warning."""
    pytest.importorskip("tqdm")
    ran = local_kernel.run(
        HEAD + "from tqdm import tqdm\nfrom tqdm.auto import trange\n"
        "for _ in tqdm(range(3), mininterval=0): pass\nfor _ in trange(3): pass"
    )
    assert ran.error is None
    assert ran.stderr.count("\n") == 2
    assert ran.stderr.count("\r") >= 4
    assert "100%" in ran.stderr
    assert "arning" not in ran.stderr
    assert "left running" not in ran.lines[-1]


def test_widgets_bar_is_text(local_kernel: Kernel) -> None:
    """tqdm.notebook shows a text bar, because a widget of the pod has no model in the notebook."""
    pytest.importorskip("tqdm")
    ran = local_kernel.run(
        HEAD + "from tqdm.notebook import tqdm, trange\n"
        "for _ in tqdm([1, 2], display=True, ncols='50%'): pass\nfor _ in trange(3, desc='bar'): pass"
    )
    assert ran.error is None
    assert "2/2" in ran.stderr
    assert "bar: 100%" in ran.stderr
    assert "arning" not in ran.stderr


def test_widget_is_shown_as_text(local_kernel: Kernel) -> None:
    """A widget is shown without its view, both as a value and as a display."""
    pytest.importorskip("ipywidgets")
    ran = local_kernel.run(HEAD + "import ipywidgets\nw = ipywidgets.IntSlider(3)\ndisplay(w)\nw")
    assert ran.error is None
    every = [*ran.displays, ran.result or {}]
    shown = [data for data in every if data.get("text/plain", "").startswith("IntSlider")]
    assert len(shown) == 2
    assert not any("widget-view" in mime for data in shown for mime in data)


def test_unfinished_lines_colours_logging_and_warnings(local_kernel: Kernel) -> None:
    """Unfinished lines, ANSI colors, logging and warnings with the line of the cell are shown."""
    local_kernel.start(
        HEAD + "import logging, warnings\nprint('\\x1b[31mred\\x1b[0m', end='')\n"
        "logging.getLogger('mine').warning('logged')\nwarnings.warn('look')\ninput()"
    )
    seen = local_kernel.until("red\x1b[0m")
    assert local_kernel.answer("") == ("", False)
    rest = local_kernel.finish()
    assert seen.stdout == "\x1b[31mred\x1b[0m"
    err = seen.stderr + rest.stderr
    assert "logged\n" in err
    assert ":5: UserWarning: look\n" in err
    assert "warnings.warn('look')" in err


@pytest.mark.feature("N01")
def test_flood_is_cut_in_the_notebook_and_whole_in_the_logs(local_kernel: Kernel) -> None:
    """Of 50 MB of output, the notebook shows the first and last lines; task.logs() has all."""
    ran = local_kernel.run(HEAD + "for n in range(50_000):\n    print(f'{n:0999d}')\nprint('last')")
    assert ran.error is None
    assert len(ran.stdout) == (1 << 20) + (64 << 10)
    assert ran.stdout.startswith(f"{0:0999d}\n{1:0999d}\n")
    assert ran.stdout.endswith(f"{49_999:0999d}\nlast\n")
    assert "46.6 MiB of output left out; _task.logs() returns all of it" in ran.stderr
    whole = "''.join(f'{n:0999d}\\n' for n in range(50_000)) + 'last\\n'"
    assert local_kernel.run(f"print(_task.logs() == {whole})").stdout == "True\n"


def test_giant_display_is_named_instead_of_shown(local_kernel: Kernel) -> None:
    """A representation over 8 MiB is omitted and named; the others are shown."""
    ran = local_kernel.run(HEAD + "class A:\n    def _repr_html_(self): return 'x' * (9 << 20)\ndisplay(A())")
    assert "too large to show: text/html (9.0 MiB)" in ran.stderr
    assert [list(each) for each in shown(ran)] == [["text/plain"]]


def test_input_is_requested_in_the_notebook(local_kernel: Kernel) -> None:
    """input() and getpass() ask the user, getpass() without echo, and receive the answers."""
    local_kernel.start(
        HEAD + "import getpass\nname = input('Name? ')\nword = getpass.getpass('Word? ')\n"
        "print(name, word[::-1])"
    )
    assert local_kernel.answer("Ada") == ("Name? ", False)
    assert local_kernel.answer("secret") == ("Word? ", True)
    ran = local_kernel.finish()
    assert ran.error is None
    assert ran.stdout == "Ada terces\n"

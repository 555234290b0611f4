"""The form in both themes and two widths: accessibility, layout, keyboard and screenshots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.chromium import HEIGHT, NARROW, WIDE
from tests.browser.form import YAML_TEXT, Form
from tests.widgets.user import TITLES

OPEN = """\
from podtask import PodTemplate
from podtask.presets import config_map, env_from_secret, gcs_fuse, gpu, init, pvc, sidecar
from podtask_widgets import TemplateBuilder

template = PodTemplate(labels={"team": "ml"}).with_(
    gpu(1), pvc("imagenet", "/data", read_only=True), gcs_fuse("my-bucket", "/mnt/gcs"),
    config_map("settings", "/etc/app", items={"train.yaml": "train.yaml"}),
    env_from_secret("hugging-face", HF_TOKEN="token"),
    sidecar("redis", "redis:7", memory="1Gi", ports=[6379], env={"LEVEL": "warning"}),
    init("fetch", "alpine/git", command=["git", "clone", "https://example.org/data.git"]),
)
spec = {**template.pod_spec, "restartPolicy": "Always", "somethingNewer": True}
b = TemplateBuilder(template.replace(pod_spec=spec), "gpu-train")
b"""
# Placeholders and chosen options that are wider than their inputs; a dropdown's arrow needs some room.
FIND_CUT_TEXTS = """() => [...document.querySelectorAll('.pt input, .pt select')].filter(e => e.checkVisibility()).map(e => {
  const style = getComputedStyle(e), chosen = e.tagName === 'SELECT';
  const text = chosen ? e.selectedOptions[0].text : e.value ? '' : e.placeholder;
  const pen = document.createElement('canvas').getContext('2d');
  pen.font = `${chosen ? '' : 'italic'} ${style.fontSize} ${style.fontFamily}`;
  const room = e.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - (chosen ? 20 : 0);
  return [text, pen.measureText(text).width - room];
}).filter(([, over]) => over > 0)"""
# Lines of the YAML that are wider than their pane.
FIND_CUT_YAML = """() => [...document.querySelectorAll('.pt-line')].filter(
    e => e.scrollWidth > e.closest('.pt-side').clientWidth).map(e => e.innerText)"""
FIND_CUT_TABS = """() => [...document.querySelectorAll('.pt .lm-TabBar-tabLabel')].filter(
    e => e.scrollWidth > e.clientWidth || e.getBoundingClientRect().right > e.parentNode.getBoundingClientRect().right)
    .map(e => e.innerText)"""
# Numbers all elements that Tab should reach, and returns them.
NUMBER_FOCUSABLE = """() => { const all = [...document.querySelectorAll('.pt *')].filter(
    e => e.tabIndex >= 0 && !e.disabled && e.checkVisibility({visibilityProperty: true}));
  all.forEach((e, n) => e.dataset.tab = n);
  return all.map(e => e.outerHTML.slice(0, 160)) }"""
FOCUSED_NUMBER = "() => document.activeElement.closest('.pt') && document.activeElement.dataset.tab"


@pytest.fixture(scope="module")
def notebook(open_notebook: Callable[..., Any]) -> Any:
    """Return a notebook with one cell, which shows a form."""
    return open_notebook(OPEN)


@pytest.fixture
def form(notebook: Any) -> Form:
    """Return a new form, in the light theme and a wide window."""
    notebook.set_theme(dark=False)
    notebook.page.set_viewport_size({"width": WIDE, "height": HEIGHT})
    notebook.run(0)
    return Form(notebook.page)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW], ids=["wide", "narrow"])
def test_every_page(notebook: Any, form: Form, dark: bool, width: int) -> None:
    """U35: every page passes axe-core, fits the window, cuts no text and has the same height."""
    page = notebook.page
    notebook.set_theme(dark)
    page.set_viewport_size({"width": width, "height": HEIGHT})
    violations: list[str] = []
    heights: set[float] = set()
    look = f"{'dark' if dark else 'light'}-{'wide' if width == WIDE else 'narrow'}"
    for title in TITLES:
        form.open(title)
        notebook.screenshot(f"form-{look}-{title.lower()}", form.root)
        violations += [f"{title}: {line}" for line in notebook.accessibility_violations(".pt")]
        assert (
            page.evaluate(
                "(() => { const e = document.querySelector('.pt .widget-tab-contents');"
                " return e.scrollWidth - e.clientWidth })()"
            )
            <= 1
        ), f"{title} is too wide"
        assert page.evaluate(FIND_CUT_TEXTS) == [], title
        assert page.evaluate(FIND_CUT_YAML) == [], title
        assert page.evaluate(FIND_CUT_TABS) == [], title
        heights.add(page.evaluate("document.querySelector('.pt').getBoundingClientRect().height"))
    assert not violations, "\n".join(violations)
    assert len(heights) == 1, "U35: the height differs between the tabs"
    form.open("Basics")
    page.wait_for_function(f"({YAML_TEXT})().includes('← becomes')")
    form.open("Resources")
    form.write("Memory limit", "16GB")
    page.wait_for_selector(".pt-state.pt-bad")
    notebook.screenshot(f"form-{look}-problem", form.root)
    assert notebook.accessibility_violations(".pt") == []


def test_keyboard_reaches_everything(notebook: Any, form: Form) -> None:
    """On each page, Tab reaches every input and button in order; arrow keys change the page."""
    page = notebook.page
    for title in TITLES:
        form.open(title)
        form.input("Template name").focus()
        elements = page.evaluate(NUMBER_FOCUSABLE)
        reached = [page.evaluate(FOCUSED_NUMBER)]
        while reached[-1] is not None and len(reached) <= len(elements):
            page.keyboard.press("Tab")
            reached.append(page.evaluate(FOCUSED_NUMBER))
        missed = [elements[n] for n in range(len(elements)) if str(n) not in reached]
        assert not missed, f"{title}: {missed}"
        assert reached == [*map(str, range(len(elements))), None], title
    form.open("Basics")
    form.root.locator(".lm-mod-current").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.pt .lm-mod-current').innerText.startsWith('Resources')")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_open_menu_and_in_use(notebook: Any, form: Form, dark: bool) -> None:
    """U32, U33: the Open menu works by the keyboard and Escape closes it; it and "in use" pass axe-core."""
    page = notebook.page
    notebook.set_theme(dark)
    form.root.get_by_role("button", name="Open").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.innerText === 'GPU training'")
    assert notebook.accessibility_violations(".pt") == []
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.innerText === 'Open'")
    assert form.root.locator(".pt-open-entry").count() == 0
    form.click("Use")
    form.root.get_by_text("in use", exact=True).wait_for()
    assert notebook.accessibility_violations(".pt") == []
    notebook.screenshot(f"form-used-{'dark' if dark else 'light'}", form.root)
    form.click("Stop using")
    form.root.get_by_text("in use", exact=True).wait_for(state="hidden")


@pytest.mark.feature("N14")
def test_copy(notebook: Any, form: Form) -> None:
    """Copy puts the template into the clipboard, without the kernel."""
    page = notebook.page
    form.root.locator(".pt-copy summary").click()
    assert notebook.accessibility_violations(".pt") == []
    page.keyboard.press("Enter")
    for label, beginning in (
        ("YAML", "metadata:"),
        ("Python", "from podtask import"),
        ("kubectl", "kubectl apply"),
        ("Flyte", "from flytekit import"),
    ):
        form.root.locator(".pt-copy summary").click()
        form.click(label)
        page.wait_for_function("document.querySelector('.pt-copy summary').innerText === 'Copied'")
        assert page.evaluate("navigator.clipboard.readText()").startswith(beginning)
        page.wait_for_function("document.querySelector('.pt-copy summary').innerText === 'Copy'")


@pytest.mark.feature("N14")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_opened_without_a_kernel(open_notebook: Callable[..., Any], dark: bool) -> None:
    """A saved form is small, and without a kernel it shows its template in place of the widget."""
    notebook = open_notebook(OPEN, dark=dark, width=NARROW)
    before = notebook.file.stat().st_size
    notebook.run(0)
    form, page = Form(notebook.page), notebook.page
    form.open("Metadata")
    form.write("label 1, value", "vision-team")
    card = page.locator(".podtask-card")
    page.wait_for_function("document.querySelector('.podtask-card').textContent.includes('vision-team')")
    assert not card.is_visible()
    notebook.save()
    assert notebook.file.stat().st_size - before < 300_000
    notebook.shut_down_kernel()
    notebook.reload()
    card.wait_for()
    assert "vision-team" in card.inner_text()
    assert not page.get_by_text("Loading widget").is_visible()
    notebook.screenshot(f"form-kept-{'dark' if dark else 'light'}")

"""The form in light and dark, wide and narrow: nothing serious for axe-core, and pictures to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.chromium import NARROW, WIDE
from tests.browser.form import Form

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
TITLES = ("Basics", "Resources", "Environment", "Volumes", "Sidecars", "Scheduling", "Security",
          "Metadata", "YAML")  # fmt: skip


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW], ids=["wide", "narrow"])
def test_every_page(open_notebook: Callable[..., Any], dark: bool, width: int) -> None:
    """All is reached by the keyboard, has a label and enough contrast, and fits the window."""
    notebook = open_notebook(OPEN, dark=dark, width=width)
    notebook.run(0)
    form, page = Form(notebook.page), notebook.page
    found: dict[str, list[str]] = {}
    look = f"{'dark' if dark else 'light'}-{'wide' if width == WIDE else 'narrow'}"
    for title in TITLES:
        form.open(title)
        notebook.shot(f"form-{look}-{title.lower()}", form.root)
        found |= {f"{title}: {line}": [] for line in notebook.findings(".pt")}
        assert page.evaluate("(() => { const e = document.querySelector('.pt .widget-tab-contents');"
                             " return e.scrollWidth - e.clientWidth })()") <= 1, f"{title} is too wide"  # fmt: skip
    assert not found, "\n".join(found)
    assert "← becomes" in form.text
    form.open("Resources")
    form.write("Memory limit", "16GB")
    page.wait_for_selector(".pt-state.pt-bad")
    notebook.shot(f"form-{look}-problem", form.root)
    assert notebook.findings(".pt") == []


def test_keyboard_reaches_everything(open_notebook: Callable[..., Any]) -> None:
    """Tab goes from the name over the buttons and tabs to the fields; arrows change the page."""
    notebook = open_notebook(OPEN)
    notebook.run(0)
    form, page = Form(notebook.page), notebook.page
    form.input("Name of the template").focus()
    seen = []
    for _ in range(7):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.innerText || document.activeElement.type")
        )
    assert [each.strip() for each in seen[:6]] == [
        "✓ valid",
        "Copy",
        "Check",
        "Save",
        "Use",
        "Basics",
    ]
    assert seen[6] == "text"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "document.querySelector('.pt .lm-mod-current').innerText === 'Resources'"
    )


@pytest.mark.feature("N14")
def test_copy(open_notebook: Callable[..., Any]) -> None:
    """Copy puts the template into the clipboard, without the kernel."""
    notebook = open_notebook(OPEN)
    notebook.run(0)
    form, page = Form(notebook.page), notebook.page
    for words, begins in (("YAML", "metadata:"), ("Python", "from podtask import"),
                          ("kubectl", "kubectl apply"), ("Flyte", "from flytekit import")):  # fmt: skip
        form.root.locator(".pt-copy summary").click()
        form.click(words)
        page.wait_for_function("document.querySelector('.pt-copy summary').innerText === 'Copied'")
        assert page.evaluate("navigator.clipboard.readText()").startswith(begins)
        page.wait_for_function("document.querySelector('.pt-copy summary').innerText === 'Copy'")


@pytest.mark.feature("N14")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_opened_without_a_kernel(open_notebook: Callable[..., Any], dark: bool) -> None:
    """A saved form is small, and shows its template in place of a widget that never comes."""
    notebook = open_notebook(OPEN, dark=dark, width=NARROW)
    before = notebook.file.stat().st_size
    notebook.run(0)
    form, page = Form(notebook.page), notebook.page
    form.open("Metadata")
    form.write("label 1, value", "vision-team")
    kept = page.locator(".podtask-card")
    page.wait_for_function(
        "document.querySelector('.podtask-card').textContent.includes('vision-team')"
    )
    assert not kept.is_visible()
    notebook.save()
    assert notebook.file.stat().st_size - before < 300_000
    notebook.end_kernel()
    notebook.reload()
    kept.wait_for()
    assert "vision-team" in kept.inner_text()
    assert not page.get_by_text("Loading widget").is_visible()
    notebook.shot(f"form-kept-{'dark' if dark else 'light'}")

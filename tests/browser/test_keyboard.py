"""A first-time user builds a template in the form by keyboard alone; keys and seconds are counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from podtask import PodTemplate
from podtask.presets import gpu, sidecar

from tests.browser.form import Form

CELL = "from podtask_widgets import TemplateBuilder\nTemplateBuilder()"
MAX_SECONDS, MAX_KEYS = 120, 240  # a user who presses two keys in a second needs less than two minutes
MAX_TABS = 80
# The label of the focused element, as a user sees or hears it; only elements of the form have one.
FOCUSED = """() => { const e = document.activeElement;
  return !e.closest('.pt') ? '' : e.classList.contains('lm-TabBar-tab') ? 'tabs'
    : e.labels && e.labels.length ? e.labels[0].innerText : e.innerText.trim() }"""
VARIABLE = {
    "name": "HF_TOKEN",
    "valueFrom": {"secretKeyRef": {"name": "hugging-face", "key": "token"}},
}
CLAIM = {"name": "data", "persistentVolumeClaim": {"claimName": "imagenet"}}
TOLERATION = {"operator": "Exists", "key": "dedicated", "effect": "NoSchedule"}


class Typist:
    """A user without a mouse, who presses Tab until the wanted label has the focus."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self.keys = 0

    def press(self, key: str, times: int = 1) -> None:
        """Press a key."""
        for _ in range(times):
            self._page.keyboard.press(key)
        self.keys += times

    def write(self, text: str) -> None:
        """Type a text into the focused element."""
        self._page.keyboard.type(text)
        self.keys += len(text)

    def tab_to(self, label: str, key: str = "Tab") -> None:
        """Move the focus to an element of the form, forward or with ``Shift+Tab`` backward."""
        passed = []
        while (found := self._page.evaluate(FOCUSED)) != label:
            passed.append(found)
            assert len(passed) < MAX_TABS, f"cannot reach {label}: {passed}"
            self.press(key)

    def add(self, button: str, label: str) -> None:
        """Press an Add button, and wait until the new entry has the focus."""
        self.tab_to(button)
        self.press("Enter")
        self._page.wait_for_function(f"label => ({FOCUSED})() === label", arg=label)

    def open(self, title: str, steps: int) -> None:
        """Open a page: move in the bar of tabs by the arrow keys, and press Enter."""
        self.tab_to("tabs", "Shift+Tab")
        self.press("ArrowRight", steps)
        self.press("Enter")
        self._page.wait_for_function(
            "title => document.querySelector('.pt .lm-mod-current').innerText.startsWith(title)"
            " && [...document.querySelectorAll('.pt-page')].some(e => e.checkVisibility() && e.children.length)",
            arg=title,
        )


def test_template_by_keyboard_alone(
    open_notebook: Callable[..., Any], record_property: Callable[[str, object], None]
) -> None:
    """Issue 23: a GPU, a PVC, a secret, a sidecar and a toleration take less than two minutes."""
    notebook = open_notebook(CELL)
    notebook.run(0)
    form, page = Form(notebook.page), notebook.page
    user, start = Typist(page), time.monotonic()
    user.tab_to("Template name")
    user.write("gpu-train")
    user.tab_to("tabs")
    user.open("Resources", 1)
    user.tab_to("Add an NVIDIA GPU with toleration and shared memory")
    user.press("Enter")
    remove = "Remove the NVIDIA GPU with its toleration and shared memory"
    page.wait_for_function(f"label => ({FOCUSED})() === label", arg=remove)
    user.open("Environment", 1)
    user.add("Add variable", "Variable 1, name")
    user.write("HF_TOKEN")
    user.press("Tab")
    user.write("S")  # Secret
    page.wait_for_selector("input[placeholder='secret']")
    user.press("Tab")
    user.write("hugging-face")
    user.press("Tab")
    user.write("token")
    user.open("Volumes", 1)
    user.add("Add volume", "Volume 2")
    user.write("data")
    user.tab_to("Claim (PVC)")
    user.write("imagenet")
    user.tab_to("Mount 1, path")
    user.write("/data")
    user.open("Sidecars", 1)
    user.add("Add sidecar", "Sidecar 1")
    user.write("redis")
    user.press("Tab")
    user.write("redis:7")
    user.open("Scheduling", 1)
    user.add("Add toleration", "Toleration 2, key")
    user.write("dedicated")
    user.tab_to("Toleration 2, effect")
    user.write("N")  # NoSchedule
    page.wait_for_function("document.querySelector('.pt-state').innerText === '✓ valid'")
    user.tab_to("Save", "Shift+Tab")
    user.press("Enter")
    page.wait_for_function("document.querySelector('.pt-said').innerText.includes('-t gpu-train')")
    seconds = time.monotonic() - start
    spec = PodTemplate.of(f"{form.yaml}\n").pod_spec
    expected = PodTemplate().with_(gpu(1), sidecar("redis", "redis:7")).pod_spec
    primary, redis = spec["containers"]
    assert primary["env"] == [VARIABLE]
    assert primary["resources"] == expected["containers"][0]["resources"]
    assert {"name": "data", "mountPath": "/data"} in primary["volumeMounts"]
    assert CLAIM in spec["volumes"]
    assert redis == expected["containers"][1]
    assert spec["tolerations"] == [*expected["tolerations"], TOLERATION]
    record_property("keys", user.keys)
    record_property("seconds", round(seconds, 1))
    print(f"{user.keys} keys, {seconds:.1f} s")
    assert seconds < MAX_SECONDS
    assert user.keys < MAX_KEYS

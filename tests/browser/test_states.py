"""All states of the line under a cell: contrast, width and pictures in light and dark surroundings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from podtask.display.status_line import DURATION_JS
from podtask.maps.progress import ItemState
from podtask.runner.durations import duration

from tests.browser.chromium import new_context
from tests.browser.notebook import SCREENSHOTS
from tests.browser.states import SURROUNDINGS, page

MIN_CONTRAST = 4.5  # WCAG AA, of text
MIN_SHAPE_CONTRAST = 3  # WCAG AA, of graphics
# Measures the contrast of each text, or each shape of a map, with what is behind it: colors are drawn, and opacities are multiplied.
FIND_LOW_CONTRASTS = """([least, selector]) => {
  const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = color => { pen.clearRect(0, 0, 1, 1); pen.fillStyle = color; pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255] };
  const over = ([r, g, b, a], under, opacity) =>
    [r, g, b].map((v, n) => v * a * opacity + under[n] * (1 - a * opacity));
  const light = color => color.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const ancestors = e => e ? [...ancestors(e.parentElement), e] : [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), low = [];
  const shown = [...document.querySelectorAll(selector || 'none')].map(e => [e.dataset.state, e]);
  while (!selector && texts.nextNode())
    shown.push([texts.currentNode.textContent.trim(), texts.currentNode.parentElement]);
  for (const [text, element] of shown) {
    if (!text || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const color = !selector ? style.color : style.fill == 'none' ? style.stroke : style.fill;
    const opacity = ancestors(element).reduce((product, e) => product * getComputedStyle(e).opacity, 1);
    const behind = ancestors(element).reduce((under, e) => over(rgba(getComputedStyle(e).backgroundColor), under, 1),
      [255, 255, 255]);
    const front = over(rgba(color), behind, opacity);
    const [a, b] = [light(front), light(behind)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < least) low.push(`${contrast.toFixed(2)}: ${text.slice(0, 60)}`);
  }
  return low;
}"""
# The left edges of the triangles, and of the first words after the marks.
FIND_EDGES = """() => {
  const summaries = [...document.querySelectorAll('body > div > details[data-key] > summary')];
  const words = summaries.map(s => { const range = document.createRange();
    range.setStart(s.firstElementChild.nextSibling, 1); range.setEnd(s.firstElementChild.nextSibling, 2);
    return range.getBoundingClientRect().left });
  return [summaries.map(s => s.getBoundingClientRect().left), words].map(e => Math.max(...e) - Math.min(...e));
}"""


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_all_states_are_legible(chromium: Any, name: str) -> None:
    """U20, U21, U25: every text has the contrast of WCAG AA, nothing is wider than the page, and the lines are aligned."""
    surroundings = SURROUNDINGS[name]
    context = new_context(chromium, surroundings.width, scale=2)
    try:
        shown = context.new_page()
        shown.set_content(page(surroundings))
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        shown.screenshot(path=Path(SCREENSHOTS) / f"states-{name}.png", full_page=True)
        assert shown.evaluate(FIND_LOW_CONTRASTS, [MIN_CONTRAST, ""]) == []
        assert shown.evaluate(FIND_LOW_CONTRASTS, [MIN_SHAPE_CONTRAST, "[data-state]"]) == []
        states = shown.evaluate("[...document.querySelectorAll('[data-state]')].map(e => e.dataset.state)")
        assert set(states) == {state.name.lower() for state in ItemState}
        assert shown.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert (
            shown.evaluate("document.querySelectorAll('body > div > details[data-key] > summary').length")
            > 30
        )
        for unfolded, text in (
            (".unfolded", "podtask-3f9c2a71d0"),
            (".podtask-card", "(podtask's first program)"),
        ):
            assert shown.locator(unfolded).get_by_text(text).first.is_visible()
        triangles, words = shown.evaluate(FIND_EDGES)
        assert triangles == 0
        assert words < 1.5
    finally:
        context.close()


def test_page_writes_durations_as_the_notebook_does(chromium: Any) -> None:
    """U14: the times that the page counts have the notation of all others."""
    seconds = [0, 0.9, 99.9, 100, 3569, 3571, 3600, 11_400, 86_340, 172_769, 172_800, 604_800]
    context = new_context(chromium)
    try:
        shown = context.new_page().evaluate(f"seconds => seconds.map({DURATION_JS})", seconds)
        assert shown == [duration(each) for each in seconds]
    finally:
        context.close()


def test_low_contrast_is_found(chromium: Any) -> None:
    """The measurement sees a color, an opacity and a background that are too close."""
    context = new_context(chromium)
    try:
        shown = context.new_page()
        shown.set_content(
            "<body style='background:#111;color:#eee'><p style='color:#444'>grey</p><p style='opacity:.3'>dim</p>"
            "<p style='background:#bbb'>light</p><p>good</p>"
            "<svg><path data-state=filled style='fill:#333'/><path data-state=lines style='fill:none;stroke:#333'/>"
            "<path data-state=faint style='fill:#fff;opacity:.2'/><path data-state=good style='fill:#fff'/></svg>"
        )
        for least, selector, expected in (
            (MIN_CONTRAST, "", ["grey", "dim", "light"]),
            (MIN_SHAPE_CONTRAST, "[data-state]", ["filled", "lines", "faint"]),
        ):
            low = [line.split(": ")[1] for line in shown.evaluate(FIND_LOW_CONTRASTS, [least, selector])]
            assert low == expected
    finally:
        context.close()

"""The items of a map as a grid of squares, and as a bar of characters. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

from ..frontend import Tone
from ..maps.progress import ItemState
from .status_line import tone_color

COLUMNS = 50
MAX_SQUARES = 600  # of a grid: more items share squares
SQUARE_ITEMS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # how many items share a square
PITCH = 12  # pixels from one square to the next
BAR_CHARS = 40
LEGEND_STYLE = "display:flex;flex-wrap:wrap;gap:0 2ch;white-space:normal;margin-left:2ch"
GRID_STYLE = "display:block;max-width:100%;height:auto;margin:.4em 0 .3em 2ch"


@dataclass(frozen=True)
class Look:
    """How items in one state look.

    Args:
        word: The state in a word.
        sign: A character of the bar.
        tone: Color.
        path: Shape in a box of 12 by 12 pixels, as relative commands of an SVG path.
        is_outline: Whether the shape is drawn as lines only.
    """

    word: str
    sign: str
    tone: Tone
    path: str
    is_outline: bool = False


HOLLOW = "m1.5 1.5h9v9h-9z"
# In the order of the legend and the bar. The states differ by their shapes: colors alone are not told apart by everybody.
LOOKS = {
    ItemState.SUCCEEDED: Look("succeeded", "█", Tone.GOOD, "m1 1h10v10h-10z"),
    ItemState.FAILED: Look("failed", "✗", Tone.BAD, "m2 2l8 8m0 -8l-8 8", is_outline=True),
    ItemState.LOST: Look("lost", "?", Tone.WARN, "m6 .5l5.5 5.5l-5.5 5.5l-5.5 -5.5z"),
    ItemState.RUNNING: Look("running", "▒", Tone.NONE, f"{HOLLOW}m3 3h3v3h-3z", is_outline=True),
    ItemState.STOPPED: Look("not run", "-", Tone.NONE, "m1.5 6h9", is_outline=True),
    ItemState.WAITING: Look("waiting", "·", Tone.NONE, HOLLOW, is_outline=True),
}
STROKES = {ItemState.FAILED: 2.4, ItemState.STOPPED: 2.0}  # widths of lines in pixels; others have 1
OPACITIES = {ItemState.WAITING: 0.6}
# Of items that share a square, the first of these states that one of them has.
FIRST_SHOWN = (ItemState.FAILED, ItemState.LOST, ItemState.RUNNING)


def bar_text(states: bytes) -> str:
    """Return the items as a bar of characters, with the count of each state.

    Args:
        states: The state of each item.
    """
    counts = _counts(states)
    # A state with few items has one character, taken from the largest one.
    chars = {state: max(1, count * BAR_CHARS // len(states)) for state, count in counts.items()}
    largest = max(chars, key=lambda state: counts[state])
    chars[largest] += BAR_CHARS - sum(chars.values())
    bar = "".join(LOOKS[state].sign * number for state, number in chars.items())
    return f"[{bar}] {counts_text(states)}"


def counts_text(states: bytes) -> str:
    """Return how many items are in each state, in words."""
    return ", ".join(f"{count} {LOOKS[state].word}" for state, count in _counts(states).items())


def squares_html(states: bytes, reasons: Mapping[int, str]) -> str:
    """Return the grid with its legend, as HTML.

    Args:
        states: The state of each item; at least one.
        reasons: Why items have failed, by index.
    """
    size = next((each for each in SQUARE_ITEMS if each * MAX_SQUARES >= len(states)), len(states))
    squares = [states[start : start + size] for start in range(0, len(states), size)]
    columns = min(COLUMNS, len(squares))
    width, height = columns * PITCH, -(-len(squares) // COLUMNS) * PITCH
    places: dict[ItemState, list[int]] = {}
    for place, square in enumerate(squares):
        places.setdefault(square_state(square), []).append(place)
    shapes = "".join(
        _shapes(state, places[state], states, size, reasons) for state in LOOKS if state in places
    )
    label = f"{len(states)} items: {counts_text(states)}"
    return (
        f'<svg role="img" aria-label="{label}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" style="{GRID_STYLE}">{shapes}</svg>'
        f'<div style="{LEGEND_STYLE}">{"".join(_legend(states, size))}</div>'
    )


def square_state(square: bytes) -> ItemState:
    """Return the state that a square shows.

    Args:
        square: The states of its items.
    """
    found = {ItemState(each) for each in square}
    for state in FIRST_SHOWN:
        if state in found:
            return state
    if len(found) == 1:
        return found.pop()
    return ItemState.STOPPED if ItemState.STOPPED in found else ItemState.RUNNING


def _counts(states: bytes) -> dict[ItemState, int]:
    counts = {state: states.count(state) for state in LOOKS}
    return {state: count for state, count in counts.items() if count}


def _legend(states: bytes, size: int) -> Iterator[str]:
    for state, count in _counts(states).items():
        icon = (
            f'<svg aria-hidden="true" width="{PITCH}" height="{PITCH}" style="vertical-align:-.1em">'
            f'<path {_drawn(state)} d="M0 0{LOOKS[state].path}"/></svg>'
        )
        yield f'<span style="white-space:nowrap">{icon} {count} {LOOKS[state].word}</span>'
    if size > 1:
        yield f"<span>a square is {size} items</span>"


def _shapes(state: ItemState, places: list[int], states: bytes, size: int, reasons: Mapping[int, str]) -> str:
    """Return the squares in one state: in one shape, or in a shape each if a title says more of them."""
    drawn, look = _drawn(state), LOOKS[state]
    paths = [f"M{place % COLUMNS * PITCH} {place // COLUMNS * PITCH}{look.path}" for place in places]
    if state not in FIRST_SHOWN:
        return f'<path {drawn} d="{"".join(paths)}"/>'
    titles = [_title(place * size, states[place * size : (place + 1) * size], reasons) for place in places]
    # The whole square is below the pointer, not only the lines.
    return "".join(
        f'<path {drawn} pointer-events="bounding-box" d="{path}"><title>{escape(title)}</title></path>'
        for path, title in zip(paths, titles, strict=True)
    )


def _title(first: int, square: bytes, reasons: Mapping[int, str]) -> str:
    if len(square) > 1:
        return f"items {first} to {first + len(square) - 1}: {counts_text(square)}"
    return f"item {first}: {reasons.get(first, LOOKS[ItemState(square[0])].word)}"


def _drawn(state: ItemState) -> str:
    """Return the attributes of the shapes of a state."""
    look = LOOKS[state]
    color = tone_color(look.tone)
    width, opacity = STROKES.get(state, 1), OPACITIES.get(state, 1)
    style = f"fill:none;stroke:{color};stroke-width:{width}" if look.is_outline else f"fill:{color}"
    if opacity < 1:
        style += f";opacity:{opacity}"
    return f'data-state="{state.name.lower()}" style="{style}"'

"""Names, prompts and options that exceed the size of a frame's JSON object."""

from __future__ import annotations

import asyncio
from typing import Any

import podtask
import pytest
from podtask.backends.local import LocalProcess
from podtask.channel.channel import Channel
from podtask.config.options import RunOptions
from podtask.manifest.identity import Identity
from podtask.manifest.render import render
from podtask.pickling.outputs import unpack
from podtask.runner import protocol
from podtask.runner.worker.leftovers import abbreviate
from podtask.runner.worker.outputs import MAX_LISTED_NAMES, MAX_RETURNED_NAMES

from tests.local.listener import Listener
from tests.local.test_channel import KEY, SECRET, job, run

MANY = 30_000
NAMES = f"for n in range({MANY}): globals()[f'a_rather_long_variable_name_number_{{n}}'] = n\ndel n"


def closing_line_and_values(source: str, outputs: Any) -> tuple[dict[str, Any], list[Any]]:
    """Return the closing line of a cell, and its values."""
    verdict, _, _ = asyncio.run(run(job(source, outputs), []))
    return verdict.end, list(unpack(verdict.parts, verdict.end["packed"]))


def test_many_new_names_are_counted() -> None:
    """The closing line lists the first new names and the number of the others."""
    end, _ = closing_line_and_values(NAMES, [])
    assert end["status"] == "ok"
    assert len(end["left"]) == MAX_LISTED_NAMES + 1
    assert end["left"][-1] == [f"{MANY - MAX_LISTED_NAMES} more", "names"]


def test_auto_brings_a_thousand_names() -> None:
    """-o auto returns a thousand names with their values; a message reports those that stayed."""
    end, found = closing_line_and_values(NAMES, "auto")
    assert end["status"] == "ok"
    assert found == list(range(MAX_RETURNED_NAMES))
    assert [each["name"] for each in end["kept"]] == [f"{MANY - MAX_RETURNED_NAMES} more"]
    assert end["left"] == []


def test_many_that_cannot_be_pickled_are_counted() -> None:
    """Many values that cannot be pickled are counted, because their reasons would not fit in a frame."""
    source = "def made():\n    yield\nfor n in range(900): globals()[f'n{n}'] = made()\ndel n, made"
    end, found = closing_line_and_values(source, "auto")
    assert found == []
    assert len(end["kept"]) == MAX_LISTED_NAMES + 1
    assert end["kept"][-1]["name"] == f"{900 - MAX_LISTED_NAMES} more"


def test_last_value_is_named_among_many_names() -> None:
    """If the last value stays in the pod, it is always named, even among many other names."""
    source = "def made():\n    yield\nfor n in range(90): globals()[f'n{n}'] = made()\ndel n\nmade()"
    end, _ = closing_line_and_values(source, "auto")
    assert end["kept"][0]["role"] == "result"
    assert len(end["kept"]) == MAX_LISTED_NAMES + 1


def test_list_of_leftovers_is_short() -> None:
    """Leftovers of a cell are listed with a limited number of shortened names."""
    assert abbreviate(["a", "b"]) == ["a", "b"]
    assert abbreviate(["x" * 10_000] * 51) == ["x" * 500 + "…"] * 50 + ["1 more"]


def test_prompt_of_megabytes_is_shortened() -> None:
    """A prompt of several megabytes is shortened, and its answer arrives."""

    async def scene() -> tuple[str, list[Any]]:
        identity = Identity("podtask-test", KEY, SECRET, 1)
        manifest = render(None, RunOptions()).stamped(identity)
        placement = await LocalProcess.start(manifest, Listener())
        prompts: list[str] = []
        answers: list[asyncio.Task[None]] = []

        def on_frame(frame: protocol.Frame) -> None:
            if frame.kind == protocol.INPUT_REQUEST:
                prompts.append(frame.meta["prompt"])
                answers.append(asyncio.ensure_future(channel.reply({"value": "here"})))

        work = job("found = input('\\U0001f600' * 2_000_000)", ["found"])
        channel = Channel(placement, KEY, SECRET, lambda _: work, Listener(on_frame))
        try:
            verdict = await asyncio.wait_for(channel.run(), 30)
        finally:
            await placement.delete()
        return prompts[0], list(unpack(verdict.parts, verdict.end["packed"]))

    prompt, found = asyncio.run(scene())
    assert prompt.startswith("\U0001f600" * 1000)
    assert prompt.endswith("…")
    assert found == ["here"]


def test_options_of_megabytes_are_refused() -> None:
    """Options of several megabytes are rejected with their size before anything starts."""
    with pytest.raises(podtask.InputError, match=r"--env.* 128 KiB can be sent") as raised:
        podtask.submit("1", options=RunOptions.of(local=True, env={"A": "x" * 1_200_000}))
    assert "1171 KiB" in str(raised.value)

"""The log of podtask: silent by default, written to standard error on request."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from podtask.errors import InputError
from podtask.log import LOGGER, set_level


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    yield
    set_level(None)


def test_nothing_is_written_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    """A warning of podtask is not shown until the user enables the log."""
    logging.getLogger("podtask.lifecycle.follow").warning("reconnecting")
    assert capsys.readouterr() == ("", "")


def test_records_go_to_standard_error_while_the_log_is_on(capsys: pytest.CaptureFixture[str]) -> None:
    """A record is one line with time, module and message, even if the log was enabled twice."""
    set_level("debug")
    set_level("debug")
    logging.getLogger("podtask.lifecycle.follow").debug("reconnecting in %.1f s", 0.5)
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.endswith(" podtask.lifecycle.follow: reconnecting in 0.5 s")
    set_level(None)
    logging.getLogger("podtask.lifecycle.follow").debug("reconnecting")
    assert capsys.readouterr() == ("", "")


def test_handlers_of_the_user_stay() -> None:
    """Enabling and disabling the log keeps the handlers that others have added."""
    mine = logging.NullHandler()
    LOGGER.addHandler(mine)
    try:
        set_level("info")
        set_level(None)
        assert mine in LOGGER.handlers
    finally:
        LOGGER.removeHandler(mine)


def test_unknown_level_is_an_error() -> None:
    """The error about an unknown level lists the levels."""
    with pytest.raises(InputError, match="Unknown log level 'loud'") as caught:
        set_level("loud")
    assert "debug" in caught.value.hint


@pytest.mark.parametrize(
    ("value", "written"), [("debug", True), ("warning", False), ("1", True), ("", False)]
)
def test_environment_switches_it_on_from_the_start(value: str, written: bool) -> None:
    """``PODTASK_LOG`` enables the log; a value that is not a level counts as debug."""
    code = "import logging, podtask; logging.getLogger('podtask.x').info('hello')"
    env = {**os.environ, "PODTASK_LOG": value}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert ("podtask.x: hello" in done.stderr) is written

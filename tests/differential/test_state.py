"""Random settings of libraries in the notebook are what a cell sees in the pod (rows C2, C3 and C4)."""

from __future__ import annotations

import contextlib
import csv
import decimal
import importlib
import json
import locale
import logging
import os
import pickle
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from podtask.cluster.login_program import collect_log
from podtask.pickling.state import capture_state
from podtask.runner.state import libraries, warning_filters

MANY = int(os.environ.get("PODTASK_FUZZ", "1"))
PROGRAMS = 200 * MANY
SEED = 0 if MANY == 1 else random.SystemRandom().randrange(1 << 32)
CATEGORIES = (UserWarning, FutureWarning, DeprecationWarning, ResourceWarning)
ACTIONS = ("ignore", "error", "always", "default", "module", "once")
RECURSION_LIMIT = sys.getrecursionlimit()
LOGGERS = ("fuzz", "fuzz.a", "fuzz.a.b", "fuzz_other")


def _libraries() -> tuple[Any, Any, Any]:
    matplotlib, numpy, pandas = map(importlib.import_module, ("matplotlib", "numpy", "pandas"))
    return matplotlib, numpy, pandas


def _set_logging(draw: random.Random) -> None:
    logger = logging.getLogger(draw.choice(LOGGERS))
    logger.setLevel(draw.choice([0, 5, 10, 20, 30, 50]))
    logger.propagate = draw.random() < 0.5
    logger.disabled = draw.random() < 0.1
    for _ in range(draw.randrange(3)):
        handler = logging.StreamHandler(draw.choice([sys.stdout, sys.stderr]))
        handler.setLevel(draw.choice([0, 20, 40]))
        style: Any = draw.choice("%{$")
        text = {"%": "%(message)s %(levelname)s", "{": "{message}!", "$": "$message $name"}[style]
        if draw.random() < 0.8:
            handler.setFormatter(logging.Formatter(text, draw.choice([None, "%H"]), style))
        logger.addHandler(handler)


def _set_warnings(draw: random.Random) -> None:
    warnings.filterwarnings(
        draw.choice(ACTIONS),  # type: ignore[arg-type]
        message=draw.choice(["", "old.*", "x"]),
        category=draw.choice(CATEGORIES),
        module=draw.choice(["", "m", "__main__"]),
        lineno=draw.choice([0, 0, 7]),
        append=draw.random() < 0.3,
    )


def _set_decimal(draw: random.Random) -> None:
    context = decimal.getcontext()
    context.prec = draw.randrange(1, 60)
    context.rounding = draw.choice([decimal.ROUND_UP, decimal.ROUND_DOWN, decimal.ROUND_HALF_EVEN])
    context.Emax, context.capitals = draw.choice([999, 999999]), draw.randrange(2)
    context.traps[draw.choice([decimal.Inexact, decimal.Overflow, decimal.FloatOperation])] = True


def _set_random(draw: random.Random) -> None:
    random.seed(draw.random())
    random.gauss(0, 1)


def _set_numpy(draw: random.Random) -> None:
    numpy: Any = pytest.importorskip("numpy")
    numpy.set_printoptions(
        precision=draw.randrange(12),
        suppress=draw.random() < 0.5,
        threshold=draw.randrange(1, 2000),
        edgeitems=draw.randrange(1, 5),
        sign=draw.choice("-+ "),
        nanstr=draw.choice(["nan", "?"]),
    )
    numpy.seterr(**{draw.choice(["divide", "over", "under", "invalid"]): draw.choice(["ignore", "raise"])})
    numpy.random.seed(draw.randrange(1 << 32))
    numpy.random.randn(draw.randrange(4))


def _set_pandas(draw: random.Random) -> None:
    pandas: Any = pytest.importorskip("pandas")
    for name, values in (
        ("display.max_rows", (None, 3, 100)),
        ("display.precision", (0, 3, 12)),
        ("display.width", (40, 200)),
        ("display.float_format", (None, "{:.2f}".format, lambda x: f"<{x:.1f}>")),
        ("display.max_colwidth", (10, None)),
        ("display.show_dimensions", (True, False)),
    ):
        if draw.random() < 0.5:
            pandas.set_option(name, draw.choice(values))


def _set_matplotlib(draw: random.Random) -> None:
    matplotlib: Any = pytest.importorskip("matplotlib")
    for name, values in (
        ("figure.figsize", ([3, 2], [8, 8])),
        ("figure.dpi", (50, 150)),
        ("axes.grid", (True, False)),
        ("lines.linestyle", ("--", ":")),
        ("font.family", (["serif"], ["monospace", "serif"])),
        ("axes.prop_cycle", (matplotlib.cycler(color=["r", "b"]), matplotlib.cycler(lw=[1, 2]))),
    ):
        if draw.random() < 0.5:
            matplotlib.rcParams[name] = draw.choice(values)


def _set_limits(draw: random.Random) -> None:
    sys.setrecursionlimit(draw.choice([2000, 5000]))
    sys.set_int_max_str_digits(draw.choice([0, 9000]))
    csv.field_size_limit(draw.choice([1 << 20, sys.maxsize]))
    for name in ("LC_NUMERIC", "LC_TIME"):
        locale.setlocale(getattr(locale, name), draw.choice(["C", "C.UTF-8"]))


SETTERS: tuple[Callable[[random.Random], None], ...] = (
    _set_limits,
    _set_logging,
    _set_warnings,
    _set_decimal,
    _set_random,
    _set_numpy,
    _set_pandas,
    _set_matplotlib,
)


def _handlers(logger: logging.Logger) -> list[Any]:
    found = []
    for handler in logger.handlers:
        assert isinstance(handler, logging.StreamHandler)
        form = handler.formatter
        record = logging.LogRecord("n", 20, "p", 1, "text", (), None)
        text = form.format(record) if form else ""
        stream = "stdout" if handler.stream is sys.stdout else "stderr"
        found.append([stream, handler.level, text, form.datefmt if form else ""])
    return found


def _filters() -> list[str]:
    """Return the warning filters without those that an earlier one hides: IPython adds one for ``__main__``."""
    found = [repr(each).replace("re.compile('__main__')", "'__main__'") for each in warnings.filters]
    return [*dict.fromkeys(found)]


def seen() -> dict[str, Any]:
    """Return what a cell sees of the libraries, by their public interfaces."""
    mpl, np, pd = _libraries()
    context = decimal.getcontext()
    shown = pd.get_option("display.float_format")
    rc = {name: mpl.rcParams[name] for name in mpl.rcParams if name not in ("backend", "axes.prop_cycle")}
    return {
        "limits": [sys.getrecursionlimit(), sys.get_int_max_str_digits(), csv.field_size_limit()],
        "locale": locale.setlocale(locale.LC_ALL),
        "logging": [
            [name, each.level, each.propagate, each.disabled, _handlers(each)]
            for name, each in ((name, logging.getLogger(name)) for name in LOGGERS)
        ],
        "warnings": _filters(),
        "decimal": [context.prec, context.rounding, context.Emax, context.capitals, dict(context.traps)],
        "random": random.getstate(),
        "numpy": [
            np.get_printoptions(),
            np.geterr(),
            str(np.array([1 / 3, 1e-8, float("nan")])),
            repr(np.random.get_state()),
        ],
        "pandas": [pd.get_option(f"display.{n}") for n in ("max_rows", "precision", "width", "max_colwidth")]
        + [pd.get_option("display.show_dimensions"), shown and shown(1 / 3)],
        "matplotlib": [rc, repr(mpl.rcParams["axes.prop_cycle"])],
    }


def reset(filters: list[Any]) -> None:
    """Set all libraries to their defaults, as in a new process."""
    mpl, np, pd = _libraries()
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(0)
        logger.propagate, logger.disabled = True, False
    warnings.filters[:] = filters  # type: ignore[index]
    warning_filters._applied.clear()
    decimal.setcontext(decimal.Context())
    sys.setrecursionlimit(RECURSION_LIMIT)
    sys.set_int_max_str_digits(4300)
    csv.field_size_limit(128 << 10)
    for category in (locale.LC_NUMERIC, locale.LC_TIME):
        locale.setlocale(category, "C")
    random.seed(0)
    np.random.seed(0)
    np.set_printoptions(precision=8, suppress=False, threshold=1000, edgeitems=3, sign="-", nanstr="nan")
    np.seterr(divide="warn", over="warn", under="ignore", invalid="warn")
    pd.reset_option("^display")
    kept = {"backend": mpl.rcParams._get("backend")}
    mpl.rcParams.update(mpl.rcParamsDefault | kept)


@pytest.fixture
def defaults() -> Iterator[list[Any]]:
    """The filters of the tests' own process; every library is reset afterwards."""
    for name in ("numpy", "pandas", "matplotlib"):
        pytest.importorskip(name)
    path = [*sys.meta_path]
    with warnings.catch_warnings():
        filters = [*warnings.filters]
        reset(filters)
        yield filters
        reset(filters)
    sys.meta_path[:] = path
    libraries.failures.clear()


def test_a_cell_sees_the_settings_of_the_notebook(defaults: list[Any]) -> None:
    """C2, C3, C4: random settings of every library are the same after capture and application."""
    for number in range(PROGRAMS):
        draw = random.Random(f"{SEED}-{number}")  # not the global generator, which is under test
        reset(defaults)
        for _ in range(draw.randrange(1, 8)):
            draw.choice(SETTERS)(draw)
        wanted = seen()
        data = pickle.loads(pickle.dumps(capture_state({}, waits=True).as_data(), 5))
        reset(defaults)
        applied = libraries.AppliedState(data)
        applied.install()
        sys.meta_path.remove(applied.importer)
        assert applied.report()["notes"] == []
        found = seen()
        for name in wanted:
            assert found[name] == wanted[name], f"{name}, program {SEED}-{number}"


def test_states_that_come_back_are_plain_text(defaults: list[Any]) -> None:
    """C3: what comes back in the head of a frame survives JSON, and the next number is the pod's."""
    np = _libraries()[1]
    random.seed(3)
    np.random.seed(3)
    applied = libraries.AppliedState(capture_state({}, waits=True).as_data())
    applied.install()
    random.random(), np.random.rand()
    back = json.loads(json.dumps(applied.report()["state"]))
    wanted = random.random(), np.random.rand()
    for name, state in back.items():
        libraries.library(libraries.GENERATORS[name]).apply(sys.modules[name], state)
    assert (random.random(), np.random.rand()) == wanted
    with contextlib.suppress(ValueError):
        sys.meta_path.remove(applied.importer)


def test_the_filter_of_a_login_is_not_sent(defaults: list[Any]) -> None:
    """C3: what podtask adds to the root logger while it reads credentials is not a setting of the notebook."""
    with collect_log():
        during = capture_state({}, waits=True).as_data()
    assert during == capture_state({}, waits=True).as_data()

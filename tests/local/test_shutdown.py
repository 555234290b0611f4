"""The end of a cell's process: files are written, exit handlers and finalizers run (row D of the cases)."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

import pytest

from tests.notebook import Kernel, Shell


@pytest.fixture(autouse=True)
def _local(local_backend: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_files_left_open_are_written(shell: Shell, tmp_path: Path) -> None:
    """D: a file that a cell leaves open has all that was written, also below a csv writer or gzip."""
    shell.run(
        "%%podtask\nimport csv, gzip, io\n"
        "rows = csv.writer(open('rows.csv', 'w'))\n"
        "for number in range(3):\n    rows.writerow([number])\n"
        "packed = gzip.open('packed.gz', 'wt')\npacked.write('packed')\n"
        "class Log:\n"
        "    def __init__(self):\n"
        "        self.me, self.file = self, open('cycle.txt', 'w')\n"
        "        self.file.write('kept')\n"
        "Log()\n"
        "raw = open('raw.bin', 'wb')\nraw.write(b'raw')\n"
        "1"
    )
    assert (tmp_path / "rows.csv").read_text() == "0\n1\n2\n"
    assert gzip.open(tmp_path / "packed.gz", "rt").read() == "packed"
    assert (tmp_path / "cycle.txt").read_text() == "kept"
    assert (tmp_path / "raw.bin").read_bytes() == b"raw"


def test_files_left_open_by_a_failed_cell_are_written(shell: Shell, tmp_path: Path) -> None:
    """D: files are written after an error, too, whose traceback still refers to them."""
    shell.shown_error(
        "%%podtask\ndef work():\n    out = open('out.txt', 'w')\n    out.write('so far')\n    1 / 0\nwork()"
    )
    assert (tmp_path / "out.txt").read_text() == "so far"


def test_exit_handlers_and_finalizers_run(shell: Shell) -> None:
    """D: atexit, weakref.finalize, __del__ and the finally of a suspended generator run, and may print."""
    out, _ = shell.output(
        "%%podtask\nimport atexit, typing, weakref\n"
        "atexit.register(print, 'atexit')\n"
        "class Model:\n    def __del__(self):\n        print('del', name)\n"
        "name = 'model'\nmodel = Model()\nheld_by_a_cache = typing.List[Model]\n"
        "weakref.finalize(model, print, 'finalize')\n"
        "def steps():\n    try:\n        yield 1\n    finally:\n        print('finally')\n"
        "running = steps()\nnext(running)\nprint('end')"
    )
    assert out.splitlines()[0] == "end"
    assert sorted(out.splitlines()[1:]) == ["atexit", "del model", "finalize", "finally"]


def test_values_of_local_modules_are_finalized(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D: files and objects that a module of the user's keeps are settled, too."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "keeping_mod.py").write_text(
        "import gzip, os\nclass Keeper:\n    def __del__(self):\n        print('del', os.getpid() > 0)\n"
        "keeper = Keeper()\nlog = gzip.open('kept.gz', 'wt')\nlog.write('kept')\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    assert shell.output("%%podtask\nimport keeping_mod")[0] == "del True\n"
    assert gzip.open(tmp_path / "kept.gz", "rt").read() == "kept"


def test_exit_handlers_come_after_the_values(shell: Shell) -> None:
    """D: values are packed before exit handlers run: what a handler does cannot change or lose them."""
    out, err = shell.output(
        "%%podtask -o rows\nimport atexit\nrows = [1]\n"
        "@atexit.register\ndef clear():\n    rows.clear()\n    print('cleared')\n    raise ValueError('no')\n"
    )
    assert out == "cleared\n"
    assert "ValueError: no" in err
    assert shell["rows"] == [1]


def test_what_logging_and_temporary_folders_hold_is_settled(shell: Shell, tmp_path: Path) -> None:
    """D: a memory handler of logging is flushed, and a temporary folder is removed."""
    shell.run(
        "%%podtask -o folder\nimport logging, logging.handlers, tempfile\n"
        "memory = logging.handlers.MemoryHandler(100, target=logging.FileHandler('log.txt'))\n"
        "logging.getLogger('app').addHandler(memory)\nlogging.getLogger('app').warning('kept')\n"
        "temporary = tempfile.TemporaryDirectory()\nfolder = temporary.name"
    )
    assert (tmp_path / "log.txt").read_text() == "kept\n"
    assert not os.path.exists(shell["folder"])


def test_exit_handlers_are_limited_in_time(shell: Shell) -> None:
    """D: exit handlers get --grace; the line that says that they were killed names the option."""
    start = time.monotonic()
    _, err = shell.output(
        "%%podtask --grace 1s -o answer\nimport atexit, threading\n"
        "atexit.register(threading.Event().wait)\nanswer = 42"
    )
    assert shell["answer"] == 42
    assert time.monotonic() - start < 20
    assert (
        "podtask: the exit handlers of the cell were killed after 1 s (--grace); "
        "files that they write may be incomplete.\n"
    ) in err


@pytest.mark.parametrize(
    "cell",
    [
        "pool = multiprocessing.Pool(2)\nprint(pool.map(abs, [-1]))",
        "pool = multiprocessing.get_context('spawn').Pool(1)\nprint(pool.map(abs, [-1]))",
        "from concurrent.futures import ProcessPoolExecutor\npool = ProcessPoolExecutor(1)\n"
        "print([*pool.map(abs, [-1])])",
        "manager = multiprocessing.Manager()\nshared = manager.list([1])\nprint([*shared])",
        "queue = multiprocessing.Queue()\nqueue.put(bytes(1 << 20))\nprint([1])",
        "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)\nprint([*pool.map(abs, [-1])])",
    ],
    ids=["pool", "spawned pool", "executor", "manager", "queue", "threads"],
)
def test_processes_left_open_do_not_block_the_end(shell: Shell, cell: str) -> None:
    """D: exit handlers of multiprocessing do not wait for processes that were ended with the cell."""
    out, err = shell.output(f"%%podtask\nimport multiprocessing\n{cell}")
    assert out == "[1]\n"
    assert "exit handlers" not in err


def test_pool_left_open_starts_no_more_processes(shell: Shell, tmp_path: Path) -> None:
    """D: the processes of a pool that were ended with the cell are not replaced; exit handlers would wait for them."""
    file = tmp_path / "starts"
    out, _ = shell.output(
        "%%podtask\nimport multiprocessing, os\n"
        f"def start():\n    with open({str(file)!r}, 'a') as file:\n        print(os.getpid(), file=file)\n"
        "pool = multiprocessing.get_context('fork').Pool(2, start)\nprint(pool.map(abs, [-1, -2]))"
    )
    assert out == "[1, 2]\n"
    assert len(file.read_text().splitlines()) == 2


def test_crash_of_an_exit_handler_is_reported(shell: Shell) -> None:
    """D: a crash in an exit handler leaves the result as it is, and is reported in one line."""
    _, err = shell.output(
        "%%podtask -o answer\nimport atexit, os, signal\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGSEGV)\nanswer = 42"
    )
    assert shell["answer"] == 42
    assert "the exit handlers of the cell ended with SIGSEGV" in err


def test_stop_ends_exit_handlers(kernel: Kernel) -> None:
    """D: the stop button interrupts an exit handler that waits; the cell counts as done."""
    kernel.start(
        "%%podtask --local --grace 1m\nimport atexit, time\n"
        "@atexit.register\ndef wait():\n    print('waiting')\n    time.sleep(600)\n"
    )
    kernel.until("waiting\n")
    kernel.interrupt()
    kernel.finish(20)

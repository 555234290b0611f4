"""The processes of the node are identified and awaited correctly."""

from __future__ import annotations

import subprocess
import sys

from tests.cluster import processes

# Threads of a killed server end one after another, beginning with the first one.
FIRST_THREAD_ENDS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
print(flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""


def test_process_lives_until_its_last_thread_ends() -> None:
    """Until its last thread has ended, a process still occupies its ports."""
    with subprocess.Popen([sys.executable, "-c", FIRST_THREAD_ENDS], stdout=subprocess.PIPE) as one:
        assert one.stdout is not None
        one.stdout.readline()
        process = processes.identified(one.pid)
        assert process is not None
        while process.state() not in ("Z", None):
            pass
        assert process.state() == "Z"
        assert not process.wait(0)
        processes.end([process])
        assert process.wait(0)
        assert process.state() is None

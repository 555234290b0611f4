"""Where a runner runs: in a pod, or in a process on this machine.

``base.py`` says what a backend is; ``pod.py``, ``job_pod.py`` and ``local.py`` implement it. This package never
reads frames and never chooses between the two.
"""

__all__ = ["base", "job_pod", "local", "pod"]

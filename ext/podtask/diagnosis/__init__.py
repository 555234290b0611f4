"""Explain why a pod is waiting and how it ended: one sentence, and a hint on what to change. Pure.

This package reads pods and events as dictionaries. It never makes a request.
"""

__all__ = ["causes", "containers", "diagnose", "endings", "kubelet_kills", "model", "queueing"]

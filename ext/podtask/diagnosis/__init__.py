"""Why a pod waits, and how it ended, in a sentence with what to do about it. Pure.

This package reads pods and events as dictionaries. It never makes a request.
"""

__all__ = ["containers", "diagnose", "endings", "model"]

"""A real Kubernetes node for the tests, built on this machine from packages only.

Nothing here is part of what users install, and importing it starts nothing. `python -m
tests.cluster` is the command line, `tests.cluster.fixtures` the pytest plugin.
"""

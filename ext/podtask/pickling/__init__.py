"""Pickling of what is sent between the notebook and the pod: inputs, outputs, definitions, exceptions.

This package turns values into bytes and back. It never sends them.
"""

__all__ = [
    "arriving_values",
    "exceptions",
    "function_call",
    "hints",
    "inputs",
    "ipython_names",
    "memory_maps",
    "missing_state",
    "outputs",
    "plain_values",
    "state",
    "unpicklable",
]

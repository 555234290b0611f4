"""What travels between the notebook and the pod: inputs, outputs, definitions and exceptions.

This package turns values into bytes and back. It never sends them.
"""

__all__ = ["exceptions", "function_call", "hints", "inputs", "outputs", "unpicklable"]

"""State that libraries keep in no variable: logging, random numbers, print options, warning filters.

One module for each library, with two functions. Both sides use it, so it imports only the standard library:

* ``capture(module, pieces)`` runs in the notebook. It returns plain data that describes what differs from the
  library's default, or None. ``pieces.pickled(label, value)`` turns a value that is not plain data, such as a
  function, into a piece for the data. ``pieces.leave_out(label)`` tells the user what is not sent.
* ``apply(module, data)`` runs in the pod, right after the cell has imported the library. ``module`` is None
  for the libraries in ``APPLIED_AT_START``, which need no import.

To add a library, write its module and add a row to ``LIBRARIES`` in ``libraries.py``. This package never
imports the library itself: a pod that lacks it is not an error.
"""

__all__ = ["libraries"]

"""The program that runs a cell in the pod: a supervisor and a worker.

``bundle.py`` sends these files as text; the image needs nothing but Python 3.9 or later. The
other modules import the standard library only, and never import anything from outside this
package.
"""

__all__ = ["bundle", "ipython", "pickler", "podtask_stub", "protocol", "supervisor", "worker"]

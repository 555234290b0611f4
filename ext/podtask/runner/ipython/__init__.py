"""Replacements for IPython in an image that has none: display, ``get_ipython``, shell commands.

This package never imports the real IPython.
"""

__all__ = ["display", "modules", "output_widget", "pretty_printer", "shell", "shell_command"]

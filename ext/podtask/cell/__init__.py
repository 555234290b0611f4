"""The source of a cell: which names it reads and sets, and its IPython syntax.

This package analyzes source text. It never runs it.
"""

__all__ = ["cell", "ipython_syntax", "main_lookups", "scopes", "script_metadata", "sql_tables"]

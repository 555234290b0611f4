"""Tables that SQL in a cell reads: DuckDB, polars and others look up the names of variables there. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

SQL_CALLS = re.compile(r"\b(?:duckdb|sqldf|chdb|datafusion)\b|\.(?:sql|query|execute)\(")
TABLES = re.compile(
    r"\b(?:from|join|into|update|table|describe|summarize)\s+([A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)*)",
    re.IGNORECASE,
)
# Packages whose tables such a library can read.
TABLE_PACKAGES = {"pandas", "polars", "pyarrow", "duckdb", "numpy", "geopandas"}


def sql_tables(source: str, namespace: Mapping[str, Any]) -> list[str]:
    """Return the names of the notebook's tables that SQL in a cell reads, in their order.

    Args:
        source: Source of the cell.
        namespace: The notebook's namespace.
    """
    if not SQL_CALLS.search(source):
        return []
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    texts = [
        each.value
        for each in ast.walk(tree)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    names = [
        name
        for text in texts
        for found in TABLES.findall(text)
        for name in re.split(r"\s*,\s*", found)
        if _package(namespace.get(name)) in TABLE_PACKAGES
    ]
    return list(dict.fromkeys(names))


def _package(value: object) -> str:
    return type(value).__module__.partition(".")[0]

"""Tables of the notebook that SQL in a cell reads (row G2)."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.cell.sql_tables import sql_tables

FRAME: Any = type("DataFrame", (), {"__module__": "pandas.core.frame"})()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("duckdb.sql('select * from df')", ["df"]),
        ("con.execute('SELECT a FROM df JOIN other USING (a)')", ["df", "other"]),
        ("pl.sql(f'''\nwith x as (select 1) select {n} from df, other, x''')", ["df", "other"]),
        ("duckdb.sql('from number')", []),
        ("print('text from df')", []),
        ("duckdb.sql('select 1'", []),
    ],
)
def test_g2_names_in_sql(source: str, found: list[str]) -> None:
    """G2: variables that hold a table are found in the SQL of a cell that uses such a library."""
    namespace = {"df": FRAME, "other": FRAME, "number": 1}
    assert sql_tables(source, namespace) == found

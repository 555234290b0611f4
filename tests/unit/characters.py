"""The characters of random texts."""

from __future__ import annotations

from hypothesis import strategies as st

# The same characters as hypothesis takes by default, without its table of UTF-8: making that table takes several
# seconds in each process of a new checkout.
CHARACTERS = st.characters(exclude_categories=["Cs"])

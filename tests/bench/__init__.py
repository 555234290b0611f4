"""Measurements of podtask and of common alternatives; no test asserts a time."""

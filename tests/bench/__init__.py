"""Measurements of podtask and of the usual alternatives; nothing here asserts a time."""

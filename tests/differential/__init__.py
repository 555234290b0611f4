"""Run the same small cells in the plain kernel, in a local process and in pods, and compare."""

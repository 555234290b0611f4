"""The same small cells in the plain kernel, in a process beside it, and in pods."""

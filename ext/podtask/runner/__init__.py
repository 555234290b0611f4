"""The program that runs a cell: standard library only, Python >= 3.9, travels as text.

Nothing in this folder imports anything of podtask outside it: the notebook sends these files to
the pod, where the image has nothing but Python.
"""

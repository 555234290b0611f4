"""Maps: the same function or cell for many items, in workers that take item after item.

``map_task.py`` is what a user holds. A worker is an ordinary task (``lifecycle``) whose process runs the items that the
notebook sends; ``dispatcher.py`` decides which worker gets which item. This package never shows anything.
"""

__all__ = ["call_future", "call_pool", "map_task", "prepare_map", "progress"]

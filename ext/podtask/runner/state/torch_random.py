"""The generator of torch: ``torch.manual_seed`` and the functions that draw from it.

The generators of GPUs start with its seed in the pod; their state does not come back.
"""

import base64
from typing import Any


def capture(module: Any, pieces: Any) -> str:
    """Return the state of the generator as text."""
    return base64.b64encode(bytes(module.get_rng_state().tolist())).decode("ascii")


def apply(module: Any, data: str) -> None:
    """Set the state of the generator, and the seed of those of GPUs."""
    restore(module, data)
    module.cuda.manual_seed_all(module.initial_seed())  # torch does it when a GPU is first used


def restore(module: Any, data: str) -> None:
    """Set the state of the notebook's generator, and leave those of its GPUs alone."""
    module.set_rng_state(module.tensor(list(base64.b64decode(data)), dtype=module.uint8))

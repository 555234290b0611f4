"""How plots and other models of bokeh travel: by the properties that are set, and with their ids.

Their callbacks in Python and their documents belong to the notebook's process.
"""

import sys
from typing import Any, Dict


def reduce(model: Any) -> Any:
    """Return the reduced form of a model."""
    properties = {
        name: _plain(value) for name, value in model.properties_with_values(include_defaults=False).items()
    }
    return make_model, (type(model), model.id), properties, None, None, fill_model


def make_model(kind: Any, number: str) -> Any:
    """Return a model with an id and without properties, as bokeh does when it reads a document."""
    model = kind.__new__(kind, id=number)
    sys.modules["bokeh.core.has_props"].HasProps.__init__(model)
    return model


def fill_model(model: Any, properties: Dict[str, Any]) -> None:
    """Set the properties of a model, also those that a user cannot set, as bokeh does when it reads a document."""
    for name, value in properties.items():
        model.set_from_json(name, value)


def _plain(value: Any) -> Any:
    """Return the content of a list or dictionary that tells its model of changes."""
    for kind in (list, dict, set):
        if isinstance(value, kind):
            return kind(value)
    return value

"""The largest field that ``csv`` reads (``csv.field_size_limit``), and dialects (``csv.register_dialect``)."""

from typing import Any, Dict, Optional

DEFAULT_LIMIT = 128 << 10
DEFAULT_DIALECTS = ["excel", "excel-tab", "unix"]
PARAMETERS = (
    *("delimiter", "doublequote", "escapechar", "lineterminator"),
    *("quotechar", "quoting", "skipinitialspace", "strict"),
)


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return the limit and the parameters of each dialect, if they are not the default."""
    limit, names = module.field_size_limit(), module.list_dialects()
    if limit == DEFAULT_LIMIT and names == DEFAULT_DIALECTS:
        return None
    dialects = {name: module.get_dialect(name) for name in names if name not in DEFAULT_DIALECTS}
    return {
        "limit": limit,
        "dialects": {
            name: {parameter: getattr(each, parameter) for parameter in PARAMETERS}
            for name, each in dialects.items()
        },
    }


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Set the limit, and register the dialects."""
    module.field_size_limit(data["limit"])
    for name, parameters in data["dialects"].items():
        module.register_dialect(name, **parameters)

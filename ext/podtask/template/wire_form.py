"""Convert models and dicts to wire form: the camelCase dicts of the Kubernetes API. Pure.

The client library's model classes drop fields that they do not know, and from version 37 on they
reject valid input (``limits={"cpu": 1}``). So models are accepted as input and not used further.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from typing import Any

from ..errors import InputError

# Maps whose keys are chosen by the user and are not field names, and what the API server reads for null there.
NULL_QUANTITY = "0"
FREE_KEY_MAPS = {
    "labels": "",
    "annotations": "",
    "nodeSelector": "",
    "matchLabels": "",
    "limits": NULL_QUANTITY,
    "requests": NULL_QUANTITY,
    "volumeAttributes": "",
    "options": "",
    "overhead": NULL_QUANTITY,
    "data": "",
    "stringData": "",
    "userAnnotations": "",
}
PLAIN_TYPES = (str, int, float, type(None))  # bool is an int
# Fields whose camelCase form does not follow from their snake_case form.
IRREGULAR_FIELD_NAMES = {
    "Exec": "exec",
    "datasetUuid": "datasetUUID",
    "diskUri": "diskURI",
    "downwardApi": "downwardAPI",
    "hostIp": "hostIP",
    "hostIpc": "hostIPC",
    "hostPid": "hostPID",
    "pdId": "pdID",
    "scaleIo": "scaleIO",
    "setHostnameAsFqdn": "setHostnameAsFQDN",
    "storagePolicyId": "storagePolicyID",
    "targetWwns": "targetWWNs",
    "volumeId": "volumeID",
}


def to_wire_form(given: Any, where: str = "") -> Any:
    """Return a value in wire form: models become camelCase dicts, and ``None`` values are dropped.

    Models of client 31 and newer are recognized by their attributes, without importing the client. A date
    becomes text, as in the JSON that kubectl sends for YAML with a date.

    Args:
        given: The value.
        where: Path of the value, for errors.

    Raises:
        InputError: A value cannot be sent to the API server.
    """
    if isinstance(given, Mapping):
        return _mapping(given, where)
    if isinstance(given, (list, tuple)):
        # The API server reads null in a list of texts as an empty text.
        return [
            "" if item is None else to_wire_form(item, f"{where}[{index}]")
            for index, item in enumerate(given)
        ]
    attributes = getattr(type(given), "attribute_map", None)
    if isinstance(attributes, dict):  # a model of the client library
        names = sorted(attributes, key="name".__ne__)  # name first, for readers
        return _mapping({attributes[name]: getattr(given, name) for name in names}, where)
    if isinstance(given, dt.date):  # also a datetime
        return given.isoformat()
    if where and (
        not isinstance(given, PLAIN_TYPES) or (isinstance(given, float) and not math.isfinite(given))
    ):
        found = given if isinstance(given, float) else f"of type {type(given).__name__}"
        raise InputError(f"{where} is {found}.", "Write text, a number, true or false, a list or a mapping.")
    return given


def free_map(given: Mapping[Any, Any], where: str, null: str = "") -> dict[Any, Any]:
    """Return a map whose keys are the user's in wire form.

    Args:
        given: The map.
        where: Path of the map, for errors.
        null: What the API server reads for a value that is null.

    Raises:
        InputError: A value cannot be sent to the API server.
    """
    return {
        key: value
        if isinstance(value, (Mapping, list))
        else to_wire_form(null if value is None else value, f"{where}.{key}")
        for key, value in given.items()
    }


def _mapping(given: Mapping[Any, Any], where: str) -> dict[str, Any]:
    wire_form = {}
    for key, value in given.items():
        if value is None:
            continue
        name = re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), str(key))
        name = IRREGULAR_FIELD_NAMES.get(name, name) if "_" in str(key) else name
        is_free = name in FREE_KEY_MAPS and isinstance(value, Mapping)
        path = f"{where}.{name}" if where else name
        wire_form[name] = free_map(value, path, FREE_KEY_MAPS[name]) if is_free else to_wire_form(value, path)
    return wire_form

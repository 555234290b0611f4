"""Convert models and dicts to wire form: the camelCase dicts of the Kubernetes API. Pure.

The client library's model classes drop fields that they do not know, and from version 37 on they
reject valid input (``limits={"cpu": 1}``). So models are accepted as input and not used further.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Maps whose keys are chosen by the user and are not field names.
FREE_KEY_MAPS = {
    "labels",
    "annotations",
    "nodeSelector",
    "matchLabels",
    "limits",
    "requests",
    "volumeAttributes",
    "options",
    "overhead",
    "data",
    "stringData",
    "userAnnotations",
}
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


def to_wire_form(given: Any) -> Any:
    """Return a value in wire form: models become camelCase dicts, and ``None`` values are dropped.

    Models of client 31 and newer are recognized by their attributes, without importing the client.
    """
    if isinstance(given, Mapping):
        return _mapping(given)
    if isinstance(given, (list, tuple)):
        return [to_wire_form(item) for item in given]
    attributes = getattr(type(given), "attribute_map", None)
    if isinstance(attributes, dict):  # a model of the client library
        names = sorted(attributes, key="name".__ne__)  # name first, for readers
        return _mapping({attributes[name]: getattr(given, name) for name in names})
    return given


def _mapping(given: Mapping[Any, Any]) -> dict[str, Any]:
    wire_form = {}
    for key, value in given.items():
        if value is None:
            continue
        name = re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), str(key))
        name = IRREGULAR_FIELD_NAMES.get(name, name) if "_" in str(key) else name
        wire_form[name] = (
            dict(value) if name in FREE_KEY_MAPS and isinstance(value, Mapping) else to_wire_form(value)
        )
    return wire_form

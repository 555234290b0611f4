"""Models and dicts become wire form: camelCase dicts, as the API takes them. Pure.

Model classes of the client library drop fields newer than themselves, and from version 37 on
reject valid input (``limits={"cpu": 1}``); so models are accepted at the edge and left there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Maps whose keys are the user's own and never names of fields.
FREE = {
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
# Fields whose wire form is not what their snake_case form gives.
IRREGULAR = {
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


def wire(given: Any) -> Any:
    """Return a value in the form the API takes: models become camelCase dicts, ``None`` goes.

    Works for the models of every client since 31 by their shape, without importing the client.
    """
    if isinstance(given, Mapping):
        return _mapping(given)
    if isinstance(given, (list, tuple)):
        return [wire(item) for item in given]
    attributes = getattr(type(given), "attribute_map", None)
    if isinstance(attributes, dict):  # a model: its own table of names
        names = sorted(attributes, key="name".__ne__)  # a name first, for those who read it
        return _mapping({attributes[name]: getattr(given, name) for name in names})
    return given


def _mapping(given: Mapping[Any, Any]) -> dict[str, Any]:
    found = {}
    for key, value in given.items():
        if value is None:
            continue
        name = re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), str(key))
        name = IRREGULAR.get(name, name) if "_" in str(key) else name
        found[name] = dict(value) if name in FREE and isinstance(value, Mapping) else wire(value)
    return found

"""Google's word on a request.

Gemini's is the word of the official parser of Protocol Buffers over the published descriptors. Vertex has
published descriptors too, but in a package that brings half a cloud along; so its discovery document is
read here, a second time and in another language than the simulator's.
"""

from __future__ import annotations

import copy
from typing import Any

from google.protobuf import json_format

from judges import google_schema


def gemini_refuses(message: str, body: dict[str, Any]) -> bool:
    """Whether the descriptors of the Gemini API refuse the body."""
    body = copy.deepcopy(body)
    if not isinstance(body, dict) or _newer_is_wrong(body):
        return True
    try:
        json_format.ParseDict(_listed(body, message), google_schema.messages()[message]())
    # A value that its scalar type cannot hold surfaces as any of these.
    except (json_format.ParseError, TypeError, ValueError, AttributeError):
        return True
    return False


def _newer_is_wrong(body: dict[str, Any]) -> bool:
    """Takes away the fields that are newer than the descriptors; whether one has a wrong type."""
    return not isinstance(body.pop("store", None), (bool, type(None)))


def _listed(value: Any, name: str) -> Any:
    """Puts the only item of a list into one, as Google reads it: see `google_schema.AMENDMENTS`."""
    definition = google_schema.gemini()["$defs"].get(name)
    if definition is None or not isinstance(value, dict):
        return value
    listed = {}
    for field, inner in value.items():
        node = definition["properties"].get(field, {})
        repeated = node.get("type") == "array"
        item = node["items"] if repeated else node
        of = item.get("$ref", "").removeprefix("#/$defs/")
        if repeated and not isinstance(inner, list) and inner is not None:
            inner = [inner]
        listed[field] = [_listed(one, of) for one in inner] if isinstance(inner, list) else _listed(inner, of)
    return listed


def vertex_refuses(message: str, body: Any) -> bool:
    """Whether the discovery document of Vertex refuses the body."""
    return not _fits({"$ref": google_schema.VERTEX_PREFIX + message}, body)


def _fits(described: dict[str, Any], value: Any) -> bool:
    if reference := described.get("$ref"):
        fields = google_schema.discovery()["schemas"][reference].get("properties", {})
        if not isinstance(value, dict):
            return False
        given = {name: inner for name, inner in value.items() if inner is not None}
        kinds = [kind for kind in google_schema.PART_KINDS if kind in given]
        if reference == google_schema.VERTEX_PREFIX + "Part" and len(kinds) > 1:
            return False
        return all(name in fields and _fits(fields[name], inner) for name, inner in given.items())
    kind = described["type"]
    if kind == "array":
        items = value if isinstance(value, list) else [value]
        return all(item is not None and _fits(described["items"], item) for item in items)
    if kind == "object":
        inner = described["additionalProperties"]
        return isinstance(value, dict) and all(_fits(inner, item) for item in value.values())
    if kind == "any":
        return True
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "string" and described.get("format") == "int64":
        return _is_whole(value)
    if kind == "string" and "enum" in described:
        return _is_whole(value) if not isinstance(value, str) else value.upper() in described["enum"]
    if kind == "string":
        return isinstance(value, str)
    return _is_whole(value) if kind == "integer" else _is_number(value)


def _is_whole(value: Any) -> bool:
    if isinstance(value, str):
        return value.removeprefix("-").isdecimal()
    return not isinstance(value, bool) and isinstance(value, (int, float)) and float(value).is_integer()


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return not isinstance(value, bool) and isinstance(value, (int, float))

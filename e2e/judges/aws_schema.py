"""The request schemas of Bedrock's runtime, as botocore's service model has them.

    structure   object; a union has exactly one of its members
    blob        base64
    document    anything

Patterns are kept where they are one set of characters, repeated; no others are checked.
"""

from __future__ import annotations

import functools
import importlib.metadata
import re
from typing import Any

Node = dict[str, Any]

ROOTS = {"Converse": "ConverseRequest", "CountTokens": "CountTokensRequest"}

AMENDMENTS = [
    "fields that no shape names are refused",
    "patterns that are more than one set of characters, repeated, are not checked",
    "keys of maps are not checked",
]

SET = re.compile(r"\[[^\]]+\](\+|\*|\{\d+(,\d+)?\})")


@functools.cache
def service() -> Any:
    """The service model of bedrock-runtime."""
    import botocore.session

    return botocore.session.get_session().get_service_model("bedrock-runtime")


@functools.cache
def bedrock() -> Node:
    """The JSON schema of Bedrock's requests."""
    definitions: dict[str, Node] = {}
    for operation in ROOTS:
        _structure(service().operation_model(operation).input_shape, definitions)
    version = importlib.metadata.version("botocore")
    return {
        "$comment": f"From bedrock-runtime in the PyPI package botocore {version} by e2e/judges/aws_schema.py",
        "amendments": AMENDMENTS,
        "dialect": "aws",
        "$defs": dict(sorted(definitions.items())),
    }


def _structure(shape: Any, definitions: dict[str, Node]) -> None:
    if shape.name in definitions:
        return
    definitions[shape.name] = node = {"type": "object", "properties": {}}
    in_body = {name: member for name, member in shape.members.items() if member.serialization.get("location") is None}
    for name, member in in_body.items():
        node["properties"][name] = _node(member, definitions)
    if required := [name for name in shape.required_members if name in in_body]:
        node["required"] = required
    if shape.is_tagged_union:
        node["union"] = True


def _node(shape: Any, definitions: dict[str, Node]) -> Node:
    metadata = shape.metadata
    kind = shape.type_name
    if kind == "structure":
        if shape.is_document_type:
            return {}
        _structure(shape, definitions)
        return {"$ref": f"#/$defs/{shape.name}"}
    if kind == "list":
        node = {"type": "array", "items": _node(shape.member, definitions)}
        return {**node, **_limits(metadata, "minItems", "maxItems")}
    if kind == "map":
        node = {"type": "object", "additionalProperties": _node(shape.value, definitions)}
        return {**node, **_limits(metadata, "minProperties", "maxProperties")}
    if kind == "blob":
        # How long it may be counts its bytes, not its base64.
        return {"type": "string", "format": "blob"}
    if kind in ("integer", "long"):
        return {"type": "integer", **_limits(metadata, "minimum", "maximum")}
    if kind in ("float", "double"):
        return {"type": "number", **_limits(metadata, "minimum", "maximum")}
    if kind == "boolean":
        return {"type": "boolean"}
    assert kind == "string", kind
    if shape.enum:
        return {"type": "string", "enum": list(shape.enum)}
    pattern = {"pattern": metadata["pattern"]} if SET.fullmatch(metadata.get("pattern", "")) else {}
    return {"type": "string", **_limits(metadata, "minLength", "maxLength"), **pattern}


def _limits(metadata: dict[str, Any], least: str, most: str) -> Node:
    names = {"min": least, "max": most}
    # At least nothing is no limit.
    return {
        names[name]: metadata[name] for name in names if name in metadata and (name, metadata[name]) != ("min", 0)
    } | ({"minimum": 0} if least == "minimum" and metadata.get("min") == 0 else {})

"""The request schemas of Google's APIs, as its packages publish them.

Gemini's come as message descriptors in `google-ai-generativelanguage`; fields that are newer than those
are taken from the types of `google-genai`, which sends them: see `NEWER`. Vertex's come as the discovery
document of `aiplatform` v1beta1 in `google-api-python-client`.

What JSON may look like for a message (names in two cases, numbers as texts, `null` for absence) is known
to the simulator's checker: here a field has only its type.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import pathlib
from typing import Any

Node = dict[str, Any]

LEVELS = ("MEDIA_RESOLUTION_UNSPECIFIED", "MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH")
THINKING = ("THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH")
PREFIX = "google.ai.generativelanguage.v1beta."


def _enum(name: str, *allowed: str) -> Node:
    return {"type": "proto-enum", "name": PREFIX + name, "enum": list(allowed)}


def _ref(name: str) -> Node:
    return {"$ref": f"#/$defs/{name}"}


_TEXT, _BOOL, _STRUCT = {"type": "proto-string"}, {"type": "proto-bool"}, {"type": "object", "additionalProperties": {}}

# Fields of the Gemini API that the published descriptors lack and `google-genai` sends.
NEWER: dict[str, Node] = {
    "GenerateContentRequest": {
        "labels": {"type": "object", "additionalProperties": _TEXT},
        "serviceTier": _enum("ServiceTier", "unspecified", "flex", "standard", "priority"),
        "store": _BOOL,
    },
    "FunctionResponsePart": {"fileData": _ref("FunctionResponseFileData")},
    "ImageConfig": {"imageSize": _TEXT},
    "Part": {
        "mediaResolution": _ref("MediaResolution"),
        "toolCall": _ref("ToolCall"),
        "toolResponse": _ref("ToolResponse"),
    },
    "Schema": {
        "additionalProperties": {},
        "defs": {"type": "object", "additionalProperties": _ref("Schema")},
        "ref": _TEXT,
    },
    "ThinkingConfig": {"thinkingLevel": _enum("ThinkingConfig.ThinkingLevel", *THINKING)},
    "ToolConfig": {"includeServerSideToolInvocations": _BOOL},
}
NEWER_MESSAGES: dict[str, Node] = {
    "FunctionResponseFileData": {"fileUri": _TEXT, "mimeType": _TEXT},
    "MediaResolution": {
        "level": _enum("MediaResolution.Level", *LEVELS, "MEDIA_RESOLUTION_ULTRA_HIGH"),
        "numTokens": {"type": "proto-int32"},
    },
    "ToolCall": {"id": _TEXT, "toolType": _TEXT, "args": _STRUCT},
    "ToolResponse": {"id": _TEXT, "toolType": _TEXT, "response": _STRUCT},
}

AMENDMENTS = {
    "gemini": [
        "newer fields from the PyPI package google-genai: see NEWER",
        "a field of texts or messages may be given as its only item, as the documentation's examples do",
        "names of enumerations may be in lower case, likewise; bytes that are not base64 are refused",
    ],
    "vertex": [
        "`data` of a part is one of its kinds, which a discovery document cannot say",
        "a field of texts or messages may be given as its only item, as the documentation's examples do",
        "names of enumerations may be in lower case, likewise; bytes that are not base64 are refused",
    ],
}

# What a descriptor calls a type, by the number of `FieldDescriptorProto.Type`.
SCALARS = {
    1: "proto-float",
    2: "proto-float",
    3: "proto-int64",
    5: "proto-int32",
    8: "proto-bool",
    9: "proto-string",
    12: "proto-bytes",
}
WELL_KNOWN: dict[str, Node] = {
    "google.protobuf.Duration": {"type": "proto-duration"},
    "google.protobuf.Timestamp": {"type": "proto-timestamp"},
    "google.protobuf.Struct": _STRUCT,
    "google.protobuf.Value": {},
}

GEMINI_ROOTS = ("GenerateContentRequest", "CountTokensRequest", "EmbedContentRequest", "BatchEmbedContentsRequest")
VERTEX_ROOTS = ("GenerateContentRequest", "CountTokensRequest")


@functools.cache
def messages() -> dict[str, Any]:
    """The message classes of Gemini's requests."""
    from google.ai.generativelanguage_v1beta import types

    return {name: getattr(types, name).pb(getattr(types, name)()).__class__ for name in GEMINI_ROOTS}


@functools.cache
def gemini() -> Node:
    """The JSON schema of Gemini's requests."""
    definitions: dict[str, Node] = {}
    for kind in messages().values():
        _message(kind.DESCRIPTOR, definitions)
    for name, fields in NEWER.items():
        definitions[name]["properties"].update(fields)
    for name, fields in NEWER_MESSAGES.items():
        definitions[name] = {"type": "object", "name": PREFIX + name, "properties": fields}
    kinds = next(group for group in definitions["Part"]["oneofs"] if "inlineData" in group)
    kinds.extend(["toolCall", "toolResponse"])
    definitions["FunctionResponsePart"]["oneofs"] = [["inlineData", "fileData"]]
    version = importlib.metadata.version("google-ai-generativelanguage")
    newer = importlib.metadata.version("google-genai")
    source = f"the PyPI packages google-ai-generativelanguage {version} and google-genai {newer}"
    return _document("gemini", source, definitions)


def _message(descriptor: Any, definitions: dict[str, Node]) -> None:
    name = _short(descriptor)
    if name in definitions:
        return
    definitions[name] = node = {"type": "object", "name": descriptor.full_name, "properties": {}}
    for field in descriptor.fields:
        node["properties"][field.json_name] = _field(field, definitions)
    groups = [[field.json_name for field in group.fields] for group in descriptor.oneofs if len(group.fields) > 1]
    if groups:
        node["oneofs"] = groups


def _short(descriptor: Any) -> str:
    return str(descriptor.full_name.removeprefix(PREFIX))


def _field(field: Any, definitions: dict[str, Node]) -> Node:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        value = _one(message.fields_by_name["value"], definitions)
        return {"type": "object", "additionalProperties": value}
    one = _one(field, definitions)
    return {"type": "array", "items": one} if field.is_repeated else one


def _one(field: Any, definitions: dict[str, Node]) -> Node:
    if field.message_type is not None:
        if field.message_type.full_name in WELL_KNOWN:
            return WELL_KNOWN[field.message_type.full_name]
        _message(field.message_type, definitions)
        return _ref(_short(field.message_type))
    if field.enum_type is not None:
        names = [value.name for value in field.enum_type.values]
        return {"type": "proto-enum", "name": field.enum_type.full_name, "enum": names}
    return {"type": SCALARS[field.type]}


VERTEX_PREFIX = "GoogleCloudAiplatformV1beta1"
PART_KINDS = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "audioTranscription",
]


@functools.cache
def discovery() -> Node:
    """The discovery document of Vertex."""
    import googleapiclient.discovery_cache as cache

    text = (pathlib.Path(cache.__file__).parent / "documents" / "aiplatform.v1beta1.json").read_text()
    document: Node = json.loads(text)
    return document


@functools.cache
def vertex() -> Node:
    """The JSON schema of Vertex's requests."""
    definitions: dict[str, Node] = {}
    for root in VERTEX_ROOTS:
        _discovered(VERTEX_PREFIX + root, definitions)
    definitions["Part"]["oneofs"] = [PART_KINDS]
    version = importlib.metadata.version("google-api-python-client")
    revision = discovery()["revision"]
    source = f"aiplatform v1beta1, revision {revision}, in the PyPI package google-api-python-client {version}"
    return _document("vertex", source, definitions)


def _discovered(full: str, definitions: dict[str, Node]) -> str:
    name = full.removeprefix(VERTEX_PREFIX)
    if name not in definitions:
        definitions[name] = {"type": "object", "name": f"google.cloud.aiplatform.v1beta1.{name}", "properties": {}}
        for field, described in discovery()["schemas"][full].get("properties", {}).items():
            definitions[name]["properties"][field] = _described(f"{name}.{field}", described, definitions)
    return name


FORMATS = {
    "int32": "proto-int32",
    "int64": "proto-int64",
    "float": "proto-float",
    "double": "proto-float",
    "byte": "proto-bytes",
    "google-duration": "proto-duration",
    "google-datetime": "proto-timestamp",
}


def _described(place: str, described: Node, definitions: dict[str, Node]) -> Node:
    if reference := described.get("$ref"):
        return _ref(_discovered(reference, definitions))
    kind = described["type"]
    if kind == "array":
        return {"type": "array", "items": _described(place, described["items"], definitions)}
    if kind == "object":
        return {
            "type": "object",
            "additionalProperties": _described(place, described["additionalProperties"], definitions),
        }
    if kind == "any":
        return {}
    if "enum" in described:
        return {"type": "proto-enum", "name": f"google.cloud.aiplatform.v1beta1.{place}", "enum": described["enum"]}
    return {"type": FORMATS.get(described.get("format", ""), f"proto-{'bool' if kind == 'boolean' else kind}")}


def _document(api: str, source: str, definitions: dict[str, Node]) -> Node:
    return {
        "$comment": f"From {source} by e2e/judges/google_schema.py",
        "amendments": AMENDMENTS[api],
        "dialect": "proto",
        "$defs": dict(sorted(definitions.items())),
    }

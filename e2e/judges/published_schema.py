"""The vendors' request schemas, as their SDK packages publish them.

The packages `openai` and `anthropic` ship the request types as `TypedDict`s. This module turns them
into JSON schemas, which the simulator reads (`crates/simulator/schemas`), and into validators, which
judge the simulator's verdicts. What is amended on the way is listed in `AMENDMENTS`: each is a place
where the API is known to be stricter or looser than its own types.

APIs are named as in `apis.py`; "openai" is Chat Completions.

    python -m judges.published_schema --write     # refresh the simulator's copies
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import json
import pathlib
import sys
from typing import Any, List, Union  # noqa: UP035  the packages' modules are given this very name

import pydantic
import pydantic_core

from judges import aws_schema, google_schema

SCHEMAS = pathlib.Path(__file__).parents[2] / "crates" / "simulator" / "schemas"
# The package of each API whose request types this module reads.
PACKAGES = {
    "openai": "openai",
    "openai-embeddings": "openai",
    "openai-responses": "openai",
    "anthropic": "anthropic",
    "anthropic-count": "anthropic",
}

# Each of them has a copy beside the simulator.
SIMULATED = (*PACKAGES, "gemini", "vertex", "bedrock")

AMENDMENTS = {
    "openai": [
        "`stream` joins the streaming and the non-streaming type",
        "an assistant message may carry `annotations`, as answers do that are sent back unchanged",
        "fields that no type names are refused",
    ],
    "openai-embeddings": ["fields that no type names are refused"],
    "anthropic-count": ["only the names of fields are kept: what they hold is judged as in a message's request"],
    "openai-responses": [
        "`stream` joins the streaming and the non-streaming type",
        "`strict` of a function and `detail` of an image may be left out, as recorded requests do that were answered",
        "a message of the assistant may consist of output parts without an id of its own, likewise",
        "fields that no type names are refused",
    ],
    "anthropic": [
        "`stream` joins the streaming and the non-streaming type",
        "`temperature`, `top_p` and `top_k` are still there under API version 2023-06-01; the package "
        "speaks 2026-10-21, which has removed them",
        "a content block is judged by its request type only, not by the response class that the SDK "
        "accepts in its place",
        "`input_schema` must be an object schema; the package also lets any dictionary pass",
        "files as Python objects and paths do not exist in JSON",
        "fields that no type names are refused",
    ],
}


def _lists_for_sequences(package: str) -> None:
    """Replaces the packages' protocol for "sequence, but not text", which pydantic cannot check."""
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{package}.types") and hasattr(module, "SequenceNotStr"):
            module.SequenceNotStr = List


def _closed(node: Any) -> Any:
    """Replaces lazily checked iterables, which accept anything, by lists, and refuses fields that are not named."""
    if isinstance(node, dict):
        checked = {key: _closed(value) for key, value in node.items()}
        if checked.get("type") == "typed-dict":
            checked["extra_behavior"] = "forbid"
        return {**checked, "type": "list"} if checked.get("type") == "generator" else checked
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if isinstance(node, tuple):
        return tuple(_closed(item) for item in node)
    return node


def request_types(api: str) -> list[Any]:
    """The published types, non-streaming first."""
    _lists_for_sequences(PACKAGES[api])
    if api == "openai-embeddings":
        from openai.types.embedding_create_params import EmbeddingCreateParams

        return [EmbeddingCreateParams]
    if api == "anthropic-count":
        from anthropic.types.message_count_tokens_params import MessageCountTokensParams

        return [MessageCountTokensParams]
    if api == "openai":
        import openai.types.chat.completion_create_params as params

        names = ("CompletionCreateParamsNonStreaming", "CompletionCreateParamsStreaming")
    elif api == "openai-responses":
        import openai.types.responses.response_create_params as params

        names = ("ResponseCreateParamsNonStreaming", "ResponseCreateParamsStreaming")
    else:
        import anthropic.types.message_create_params as params

        names = ("MessageCreateParamsNonStreaming", "MessageCreateParamsStreaming")
    _lists_for_sequences(PACKAGES[api])
    return [getattr(params, name) for name in names]


def validator(api: str) -> pydantic_core.SchemaValidator:
    """Judges a request body by the published types alone."""
    lazy = pydantic.TypeAdapter(Union[tuple(request_types(api))]).core_schema
    return pydantic_core.SchemaValidator(_closed(lazy))


def build(api: str) -> dict[str, Any]:
    """The JSON schema that the simulator checks requests against."""
    schema = pydantic.TypeAdapter(request_types(api)[0]).json_schema()
    schema = _stripped(schema)
    definitions = schema.setdefault("$defs", {})
    fields = schema["properties"]
    if api in ("openai", "openai-responses"):
        fields["stream"] = {"anyOf": [{"type": "boolean"}, {"type": "null"}]}
    if api == "openai":
        assistant = definitions["ChatCompletionAssistantMessageParam"]["properties"]
        assistant["annotations"] = {"type": "array", "items": {"type": "object", "additionalProperties": True}}
    elif api == "openai-responses":
        definitions["FunctionToolParam"]["required"].remove("strict")
        definitions["ResponseInputImageParam"]["required"].remove("detail")
        message = definitions["ResponseOutputMessageParam"]
        message["required"] = [name for name in message["required"] if name not in ("id", "status")]
        text = definitions["ResponseOutputTextParam"]
        text["required"] = [name for name in text["required"] if name != "annotations"]
    elif api == "anthropic-count":
        schema["properties"] = {name: {} for name in fields}
    elif api == "anthropic":
        fields["stream"] = {"type": "boolean"}
        fields["temperature"] = {"type": "number"}
        fields["top_p"] = {"type": "number"}
        fields["top_k"] = {"type": "integer"}
        definitions["ToolParam"]["properties"]["input_schema"] = {"$ref": "#/$defs/InputSchemaTyped"}
        _request_types_only(schema)
    package = PACKAGES[api]
    version = importlib.metadata.version(package)
    reachable = _reachable(schema)
    return {
        "$comment": f"From the PyPI package {package} {version} by e2e/judges/published_schema.py",
        "amendments": AMENDMENTS[api],
        **{key: value for key, value in schema.items() if key != "$defs"},
        "$defs": {name: definitions[name] for name in sorted(reachable)},
    }


def _stripped(node: Any, names: bool = False) -> Any:
    """Without what only people read, and without what JSON cannot carry."""
    if isinstance(node, list):
        return [_stripped(item) for item in node]
    if not isinstance(node, dict):
        return node
    if names:
        return {key: _stripped(value) for key, value in node.items()}
    kept = {
        key: _stripped(value, names=key in ("properties", "$defs"))
        for key, value in node.items()
        if key not in ("title", "description", "default")
    }
    if "enum" in kept:
        kept["enum"] = sorted(kept["enum"])
    if "anyOf" in kept:
        kept["anyOf"] = [branch for branch in kept["anyOf"] if branch.get("format") not in ("path", "binary")]
        if len(kept["anyOf"]) == 1:
            kept = kept["anyOf"][0]
    return kept


def _request_types_only(node: Any) -> None:
    """Drops `X` from every choice that also offers `XParam`."""
    if isinstance(node, list):
        for item in node:
            _request_types_only(item)
    elif isinstance(node, dict):
        branches = node.get("anyOf")
        if isinstance(branches, list):
            offered = {branch.get("$ref") for branch in branches}
            node["anyOf"] = [b for b in branches if f"{b.get('$ref')}Param" not in offered]
        for value in node.values():
            _request_types_only(value)


def _reachable(schema: dict[str, Any]) -> set[str]:
    """The definitions that the root needs."""
    found: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                visit(item)
        elif isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str):
                name = reference.removeprefix("#/$defs/")
                if name not in found:
                    found.add(name)
                    visit(schema["$defs"][name])
            for value in node.values():
                visit(value)

    visit(schema["properties"])
    return found


@functools.cache
def rendered(api: str) -> str:
    """The text of the simulator's copy."""
    builders = {"gemini": google_schema.gemini, "vertex": google_schema.vertex, "bedrock": aws_schema.bedrock}
    document = builders[api]() if api in builders else build(api)
    return json.dumps(document, indent=1) + "\n"


def path_of(api: str) -> pathlib.Path:
    """Where the simulator's copy lies."""
    return SCHEMAS / f"{api}-request.json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="refresh the simulator's copies")
    if parser.parse_args().write:
        for api in SIMULATED:
            path_of(api).write_text(rendered(api))
    stale = [api for api in SIMULATED if path_of(api).read_text() != rendered(api)]
    for api in stale:
        print(f"{path_of(api)} is not what the pinned package publishes: run with --write", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

"""The vendors' word on a request: what their published types refuse.

It shares nothing with the simulator but the packages: another language, another validator.
"""

from __future__ import annotations

import copy
import functools
import json
from typing import Any

import pydantic_core

from judges import aws_judge, google_judge, published_schema
from judges.published_schema import PACKAGES

# Fields of Anthropic's API version 2023-06-01 that the package no longer names: two numbers, an integer.
_SAMPLING = {"temperature", "top_p", "top_k"}


def refuses(api: str, body: dict[str, Any]) -> bool:
    """Whether the published types of the API refuse the body."""
    if api == "bedrock":
        return aws_judge.refuses("Converse", body)
    if api == "gemini":
        return google_judge.gemini_refuses("GenerateContentRequest", body)
    if api == "vertex":
        return google_judge.vertex_refuses("GenerateContentRequest", body)
    if api == "openai-responses":
        body = _filled_in(body)
    if PACKAGES[api] == "anthropic":
        sampling = {name: body[name] for name in _SAMPLING & body.keys()}
        body = {name: value for name, value in body.items() if name not in sampling}
        numbers = all(type(value) in (int, float) for value in sampling.values())
        if not numbers or type(sampling.get("top_k", 0)) is float:
            return True
    try:
        _validator(api).validate_json(json.dumps(body), strict=True)
    except pydantic_core.ValidationError:
        return True
    return False


@functools.cache
def _validator(api: str) -> pydantic_core.SchemaValidator:
    return published_schema.validator(api)


def _filled_in(body: dict[str, Any]) -> dict[str, Any]:
    """What the Responses API fills in where it is absent: see `published_schema.AMENDMENTS`."""
    body = copy.deepcopy(body)
    for tool in _objects(body.get("tools")):
        if tool.get("type") == "function":
            tool.setdefault("strict", None)
    for item in _objects(body.get("input")):
        for part in _objects(item.get("content")):
            if part.get("type") == "input_image":
                part.setdefault("detail", "auto")
            elif part.get("type") == "output_text":
                part.setdefault("annotations", [])
                item.setdefault("id", "msg_1")
                item.setdefault("status", "completed")
        for part in _objects(item.get("output")):
            if part.get("type") == "input_image":
                part.setdefault("detail", "auto")
    return body


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

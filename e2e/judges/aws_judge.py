"""AWS's word on a request: botocore's validator, and on an answer: botocore's shapes, strictly.

The validator does not look at the lengths that its service models name, nor at their patterns; what it says
nothing of is listed in `STRICTER` of `test_requests.py`.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.validate import ParamValidator

from judges import aws_schema


class NotOfShape(AssertionError):
    """An answer that the service model refuses."""


def refuses(operation: str, body: dict[str, Any]) -> bool:
    """Whether the service model refuses the body of an operation."""
    shape = aws_schema.service().operation_model(operation).input_shape
    report = ParamValidator().validate({**body, "modelId": "m"}, shape)
    return bool(report.has_errors())


# Fields that the service sends and the model does not name, each with its reason.
EXTRA = {
    "TokenUsage.cacheReadInputTokenCount": "recorded: the same as cacheReadInputTokens",
    "TokenUsage.cacheWriteInputTokenCount": "recorded: the same as cacheWriteInputTokens",
    "TokenUsage.serverToolUsage": "recorded, always empty",
}


def check(shape: Any, value: Any, place: str = "") -> None:
    """Raises where an answer is not of its shape: types, required members, unions, members without a name."""

    def expect(true: bool, problem: str) -> None:
        if not true:
            raise NotOfShape(f"{place or shape.name}: {problem}: {json.dumps(value)[:200]}")

    kind = shape.type_name
    if kind == "structure" and not shape.is_document_type:
        expect(isinstance(value, dict), "not a structure")
        for name in shape.required_members:
            expect(name in value, f"{name} is missing")
        if shape.is_tagged_union:
            expect(len(value) == 1, "a union has one member")
        for name, inner in value.items():
            if f"{shape.name}.{name}" not in EXTRA:
                expect(name in shape.members, f"no member is called {name}")
                check(shape.members[name], inner, f"{place}.{name}")
    elif kind == "list":
        expect(isinstance(value, list), "not a list")
        for number, item in enumerate(value):
            check(shape.member, item, f"{place}[{number}]")
    elif kind == "string":
        expect(isinstance(value, str), "not a text")
        expect(not shape.enum or value in shape.enum, f"not one of {shape.enum}")
    elif kind in ("integer", "long"):
        expect(type(value) is int, "not a whole number")
    elif kind in ("float", "double"):
        expect(type(value) in (int, float), "not a number")
    elif kind == "boolean":
        expect(isinstance(value, bool), "not true or false")

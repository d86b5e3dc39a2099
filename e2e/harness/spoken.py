"""What is said to a client and what it hears, whatever its protocol is."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

WEIGH = {
    "name": "weigh",
    "description": "Weighs something.",
    "schema": {
        "type": "object",
        "properties": {"what": {"type": "string"}, "grams": {"type": "integer"}},
        "required": ["what"],
    },
}
TARE = {"name": "tare", "description": "Sets the scales to zero.", "schema": {"type": "object", "properties": {}}}


@dataclasses.dataclass(frozen=True)
class Call:
    """A tool call; `arguments` is what its JSON text means."""

    id: str
    name: str
    arguments: Any


@dataclasses.dataclass(frozen=True)
class User:
    """A user's turn; images are base64 of a PNG."""

    text: str
    images: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Assistant:
    """An earlier answer, written down by its text and calls."""

    text: str = ""
    calls: tuple[Call, ...] = ()


@dataclasses.dataclass(frozen=True)
class Echo:
    """An earlier answer, sent back as the SDK gave it: signatures and all (see `Heard.echo`)."""

    content: Any
    calls: tuple[Call, ...] = ()


@dataclasses.dataclass(frozen=True)
class Results:
    """Results of tool calls, by call id."""

    texts: dict[str, str]


Turn = User | Assistant | Echo | Results


@dataclasses.dataclass(frozen=True)
class Heard:
    """An answer, as the SDK understood it."""

    text: str
    calls: tuple[Call, ...]
    # stop, stop-sequence, length, tools, refusal
    finish: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    model: str
    # Visible thinking.
    thoughts: str = ""
    # What a later request carries to say that this was answered.
    echo: Any = None


class Speaker(Protocol):
    """A client of one protocol."""

    protocol: str

    def body(self, model: str, turns: list[Turn], **options: Any) -> dict[str, Any]:
        """The request body: options are `system`, `tools`, `choice`, `stops`, `limit`, `parallel`, `schema`
        (the answer is JSON of this schema) and `think` (tokens of visible thinking)."""

    def say(self, body: dict[str, Any], stream: bool) -> Heard:
        """Sends a body through the SDK."""

    def begin(self, body: dict[str, Any]) -> Any:
        """Starts a stream: an iterator with `close()`."""

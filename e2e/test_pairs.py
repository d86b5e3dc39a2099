"""Every SDK against every provider, whole and streamed: one set of tests for all ways."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from harness import strict
from harness.processes import Gateway, Simulator
from harness.speakers import (
    MODELS,
    PROVIDERS,
    SPEAKERS,
    TARE,
    WEIGH,
    Assistant,
    Call,
    Echo,
    Results,
    User,
    raw,
    speaker,
)
from judges.request_corpus import PIXEL

WAYS = list(itertools.product(SPEAKERS, PROVIDERS, (False, True)))
EVERY_WAY = pytest.mark.parametrize(
    ("speaks", "provider", "stream"),
    WAYS,
    ids=[f"{speaks}-to-{provider}-{'streamed' if stream else 'whole'}" for speaks, provider, stream in WAYS],
)
ODD = 'Grüße ⚖ 🚚 "quoted" \\ back\tslash </s> \u2028 end'

# What no translation can bring about.
NO_STOPS = {"openai-responses"}
NO_PARALLEL_SWITCH = {"gemini", "vertex", "bedrock"}
NO_STRUCTURE = {"bedrock"}


@pytest.fixture
def client(gateway: Gateway, session_key: str, speaks: str) -> Any:
    return speaker(speaks, gateway.url, session_key)


def received(simulator: Simulator, provider: str) -> dict[str, Any]:
    """The last request that the provider's vendor has seen."""
    return simulator.requests(PROVIDERS[provider].vendor)[-1]


@EVERY_WAY
def test_text_comes_back_unharmed(client: Any, provider: str, stream: bool) -> None:
    heard = client.say(client.body(MODELS[provider], [User(f"echo:{ODD}")]), stream)
    assert (heard.text, heard.finish, heard.calls) == (ODD, "stop", ())
    assert heard.input_tokens > 0 and heard.output_tokens > 0


@EVERY_WAY
def test_system_prompt_and_turns_arrive(client: Any, simulator: Simulator, provider: str, stream: bool) -> None:
    turns = [User("first question"), Assistant("first answer"), User("echo:done")]
    heard = client.say(client.body(MODELS[provider], turns, system="Be exact."), stream)
    assert heard.text == "done"
    body = received(simulator, provider)["body"]
    said = str(body)
    assert all(text in said for text in ("Be exact.", "first question", "first answer"))
    turns_sent = next(body[name] for name in ("messages", "input", "contents") if name in body)
    roles = ["assistant" if turn["role"] == "model" else turn["role"] for turn in turns_sent]
    assert roles[-3:] == ["user", "assistant", "user"]
    if field := next((name for name in ("system", "systemInstruction") if name in body), None):
        assert "Be exact." in str(body[field]) and len(roles) == 3


@EVERY_WAY
def test_a_tool_is_called_and_its_result_returned(client: Any, provider: str, stream: bool) -> None:
    tools = [WEIGH, TARE]
    first = client.say(client.body(MODELS[provider], [User("use a tool")], tools=tools), stream)
    assert first.finish == "tools"
    [made] = first.calls
    assert made.name == "weigh" and set(made.arguments) == {"what", "grams"}
    # Quotes, escapes, line ends and characters of two to four bytes, cut at every place on the way.
    assert made.arguments["what"] == '"what" \\ é ⚖ 🚚\n\ttab' and made.arguments["grams"] == 7

    turns = [User("use a tool"), Assistant(first.text, first.calls), Results({made.id: "42 grams"})]
    second = client.say(client.body(MODELS[provider], turns, tools=tools), stream)
    assert (second.text, second.finish) == ("The tools answered: 42 grams", "stop")


@EVERY_WAY
def test_parallel_calls_with_text_before_them(client: Any, provider: str, stream: bool) -> None:
    tools = [WEIGH, TARE]
    asked = User("use tools in parallel, with a preface")
    heard = client.say(client.body(MODELS[provider], [asked], tools=tools), stream)
    assert heard.text == "Let me look that up. ⚖"
    assert [made.name for made in heard.calls] == ["weigh", "tare"]
    assert heard.calls[1].arguments == {} and heard.calls[0].id != heard.calls[1].id

    results = Results({made.id: f"result of {made.name}" for made in heard.calls})
    again = client.say(
        client.body(MODELS[provider], [asked, Assistant(heard.text, heard.calls), results], tools=tools), stream
    )
    assert again.text == "The tools answered: result of weigh | result of tare"


@EVERY_WAY
def test_tool_choice(client: Any, provider: str, stream: bool) -> None:
    def called(text: str, **options: Any) -> list[str]:
        body = client.body(MODELS[provider], [User(text)], tools=[WEIGH, TARE], **options)
        return [made.name for made in client.say(body, stream).calls]

    assert called("hello", choice="required") == ["weigh"]
    assert called("hello", choice="tare") == ["tare"]
    assert called("use a tool", choice="none") == []
    assert called("use a tool", choice="auto") == ["weigh"]
    if client.protocol != "gemini" and provider not in NO_PARALLEL_SWITCH:
        assert called("use tools in parallel", parallel=False) == ["weigh"]


@EVERY_WAY
def test_foreign_call_ids_survive(client: Any, provider: str, stream: bool) -> None:
    """An id that another vendor made comes back in a later request."""
    foreign = "call_00_AbC-1" if "claude" in MODELS[provider] else "toolu_01AbCdEf"
    turns = [User("use a tool"), Assistant("", (Call(foreign, "weigh", {"what": "x"}),)), Results({foreign: "ok"})]
    heard = client.say(client.body(MODELS[provider], turns, tools=[WEIGH]), stream)
    assert heard.text == "The tools answered: ok"


@EVERY_WAY
def test_images_arrive(client: Any, simulator: Simulator, provider: str, stream: bool) -> None:
    heard = client.say(client.body(MODELS[provider], [User("echo:seen", (PIXEL, PIXEL))]), stream)
    assert heard.text == "seen [images: 2]"
    # Google's SDK writes it in the alphabet of URLs.
    sent = received(simulator, provider)["text"]
    assert sent.count(PIXEL) + sent.count(PIXEL.replace("+", "-").replace("/", "_")) == 2


@EVERY_WAY
def test_stop_sequences_end_the_answer(client: Any, provider: str, stream: bool) -> None:
    if client.protocol in NO_STOPS:
        pytest.skip("Responses has no stop sequences")
    heard = client.say(client.body(MODELS[provider], [User("echo:one STOP two")], stops=["STOP"]), stream)
    if provider in NO_STOPS:
        assert heard.text == "one STOP two"
        return
    assert heard.text == "one "
    exact = client.protocol == provider == "anthropic"
    assert heard.finish in (("stop-sequence",) if exact else ("stop", "stop-sequence"))


@EVERY_WAY
def test_output_limits(client: Any, provider: str, stream: bool) -> None:
    heard = client.say(client.body(MODELS[provider], [User("words:200")], limit=20), stream)
    assert (heard.finish, heard.output_tokens) == ("length", 20)
    assert heard.text == " ".join(f"word{number}" for number in range(200))[:80]


SCALE = {
    "type": "object",
    "properties": {"grams": {"type": "integer"}, "unit": {"type": "string", "enum": ["kg", "t"]}},
    "required": ["grams", "unit"],
    "additionalProperties": False,
}


@EVERY_WAY
def test_structured_output(client: Any, provider: str, stream: bool) -> None:
    if provider in NO_STRUCTURE:
        pytest.skip("the model has no structured output")
    heard = client.say(client.body(MODELS[provider], [User("hello")], schema=SCALE), stream)
    assert json.loads(heard.text) == {"grams": 7, "unit": "kg"}
    assert (heard.finish, heard.calls) == ("stop", ())


@EVERY_WAY
def test_thinking_is_carried_through_a_tools_turn(client: Any, provider: str, stream: bool) -> None:
    """The answer goes back as the SDK gave it, with whatever proves the thinking to its provider."""
    model, tools = PROVIDERS[provider].thinking, [WEIGH, TARE]
    asked = User("use a tool")
    first = client.say(client.body(model, [asked], tools=tools, think=1024), stream)
    [made] = first.calls
    # Chat Completions has no word for it, Anthropic's clients none that others need not guess, and Nova no thinking.
    told = client.protocol == "openai" or provider in ("openai", "bedrock")
    hidden = told or (client.protocol == "anthropic" and provider in ("openai-responses", "gemini", "vertex"))
    assert hidden or "The user wants something weighed." in first.thoughts, first
    turns = [asked, Echo(first.echo, first.calls), Results({made.id: "42 grams"})]
    second = client.say(client.body(model, turns, tools=tools, think=1024), stream)
    assert (second.text, second.finish) == ("The tools answered: 42 grams", "stop")
    if provider != "bedrock":
        assert second.output_tokens > len(second.text) / 4, "thinking is counted"


@EVERY_WAY
def test_usage_is_the_providers(client: Any, simulator: Simulator, provider: str, stream: bool) -> None:
    vendor = PROVIDERS[provider].vendor
    before = len(simulator.invoice())
    heard = client.say(client.body(PROVIDERS[provider].thinking, [User("words:30 cached:3")]), stream)
    lines = simulator.invoice()
    assert len(lines) == before + 1
    billed = [line for line in lines if line["vendor"] == vendor][-1]
    usage = billed["usage"]
    assert heard.input_tokens == usage["input"] + usage["cache_read"]
    assert heard.cached_tokens == usage["cache_read"] == (3 if vendor in ("openai", "google") else 0)
    assert heard.output_tokens == usage["output"] + usage["reasoning"]


RAW_BODIES: dict[str, dict[str, Any]] = {
    "text": {},
    "tools": {"tools": [WEIGH, TARE]},
    "limit": {"limit": 20},
    "thinking": {"tools": [WEIGH, TARE], "think": 1024},
    "refusal": {},
}


@EVERY_WAY
@pytest.mark.parametrize("kind", RAW_BODIES)
def test_raw_answers_satisfy_the_strict_models(
    gateway: Gateway, session_key: str, client: Any, speaks: str, provider: str, stream: bool, kind: str
) -> None:
    text = {"refusal": "please refuse this"}.get(kind, f"words:200 {ODD}")
    if kind in ("tools", "thinking"):
        text = "use tools in parallel, with a preface"
    model = PROVIDERS[provider].thinking if kind == "thinking" else MODELS[provider]
    body = client.body(model, [User(text)], **RAW_BODIES[kind])
    reply = raw(gateway, session_key, speaks, {**body, "stream": stream})
    assert reply.status == 200, reply.body
    judge = (strict.STREAM if stream else strict.WHOLE)[speaks]
    judge(reply.body)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_usage_chunks_come_only_where_asked_for(gateway: Gateway, session_key: str, provider: str) -> None:
    body = {"model": MODELS[provider], "messages": [{"role": "user", "content": "hello"}], "stream": True}
    for options, told in (({}, False), ({"stream_options": {"include_usage": True}}, True)):
        chunks = strict.chat_stream(raw(gateway, session_key, "openai", {**body, **options}).body)
        assert any(chunk.usage for chunk in chunks) == told
        assert all(chunk.choices for chunk in chunks if not chunk.usage)

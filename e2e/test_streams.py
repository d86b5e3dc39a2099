"""Streams as the SDKs themselves put them together: accumulated, at a slow client, with signs of life in between."""

from __future__ import annotations

import concurrent.futures
import itertools
import pathlib
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from harness.processes import Gateway, Simulator
from harness.sockets import begin
from harness.speakers import MODELS, PROVIDERS, SPEAKERS, TARE, WEIGH, User, raw, speaker

SPEAKS = pytest.mark.parametrize("speaks", SPEAKERS)
PAIRS = list(itertools.product(SPEAKERS, PROVIDERS))
EVERY_PAIR = pytest.mark.parametrize(
    ("speaks", "provider"), PAIRS, ids=[f"{speaks}-to-{provider}" for speaks, provider in PAIRS]
)
ODD = 'echo:Grüße ⚖ 🚚 "quoted" \\ back\tslash'
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "text": (ODD, {}),
    "length": ("words:200", {"limit": 20}),
    "refusal": ("please refuse this", {}),
    "tools": ("use tools in parallel, with a preface", {"tools": [WEIGH, TARE]}),
    "thinking": ("use a tool", {"tools": [WEIGH], "think": 1024}),
}

# What two answers to one question do not share: names, moments, and proofs of reasoning. The service tier may come
# behind the first chunk, and the helpers take it from there only.
OWN = re.compile(r"^(id|call_id|.*_at|created|system_fingerprint|service_tier|signature|encrypted_content|data)$")
# What a helper adds of its own, or leaves out where it is empty.
ADDED = re.compile(r"^(parsed|parsed_arguments|parsed_output|index|logprobs|annotations|function_call|audio)$")


def plain(value: Any) -> Any:
    """An answer as an SDK has it, without what is its own."""
    match value:
        case dict():
            shared = [name for name in value if not OWN.match(name) and not ADDED.match(name)]
            fields = {name: plain(value[name]) for name in shared}
            return {name: field for name, field in fields.items() if field not in (None, "", [], {})}
        case list():
            return [plain(item) for item in value]
        case _:
            return value


def accumulated(client: Any, body: dict[str, Any]) -> Any:
    """The stream of an answer as the SDK's own helper adds it up."""
    match client.protocol:
        case "openai":
            with client.client.chat.completions.stream(**body, stream_options={"include_usage": True}) as events:
                return events.get_final_completion().model_dump()
        case "anthropic":
            with client.client.messages.stream(**body) as events:
                return events.get_final_message().model_dump()


def whole(client: Any, body: dict[str, Any]) -> Any:
    match client.protocol:
        case "openai":
            return client.client.chat.completions.create(**body).model_dump()
        case "openai-responses":
            return client.client.responses.create(**body).model_dump()
        case "anthropic":
            return client.client.messages.create(**body).model_dump()


@EVERY_PAIR
@pytest.mark.parametrize("kind", ASKED)
def test_what_the_sdk_accumulates_is_the_whole_answer(
    gateway: Gateway, session_key: str, speaks: str, provider: str, kind: str
) -> None:
    client = speaker(speaks, gateway.url, session_key)
    text, options = ASKED[kind]
    model = PROVIDERS[provider].thinking if kind == "thinking" else MODELS[provider]
    body = client.body(model, [User(text)], **options)
    if speaks == "gemini":
        # Google's SDK adds nothing up by itself: what its pieces say together counts.
        once, pieces = client.say(body, stream=False), client.say(body, stream=True)
        heard = [(h.text, h.thoughts, h.finish, h.input_tokens, h.output_tokens) for h in (once, pieces)]
        assert heard[0] == heard[1]
        calls = [[(call.name, call.arguments) for call in h.calls] for h in (once, pieces)]
        assert calls[0] == calls[1] and bool(calls[0]) == (kind in ("tools", "thinking"))
        return
    if speaks == "openai-responses":
        # Its `get_final_response` knows no answer that was cut short.
        with client.client.responses.stream(**body) as events:
            *_, last = events
        assert plain(last.response.model_dump()) == plain(whole(client, body))
        if last.type == "response.completed":
            assert plain(events.get_final_response().model_dump()) == plain(last.response.model_dump())
        return
    try:
        added_up = accumulated(client, body)
    except client.errors.APIError:
        raise
    except Exception as refused:
        # The helper for Chat Completions gives out no answer that was cut short, or filtered.
        assert speaks == "openai"
        assert type(refused).__name__ in ("LengthFinishReasonError", "ContentFilterFinishReasonError")
        once, pieces = (client.client.chat.completions.create(**body), client.say(body, stream=True))
        said = once.choices[0].message
        assert (said.content or said.refusal or "") == pieces.text
        assert once.usage.completion_tokens == pieces.output_tokens
        return
    assert plain(added_up) == plain(whole(client, body))


@SPEAKS
def test_snapshots_of_responses_grow_to_the_whole(gateway: Gateway, session_key: str, speaks: str) -> None:
    if speaks != "openai-responses":
        pytest.skip("only its helper shows what it has so far")
    client = speaker(speaks, gateway.url, session_key)
    for provider in PROVIDERS:
        body = client.body(MODELS[provider], [User("use a tool, with a preface")], tools=[WEIGH])
        texts, arguments = {}, {}
        with client.client.responses.stream(**body) as events:
            for event in events:
                if event.type == "response.output_text.delta":
                    texts[event.output_index] = event.snapshot
                if event.type == "response.function_call_arguments.delta":
                    arguments[event.output_index] = event.snapshot
            final = events.get_final_response()
        said = {at: item.content[0].text for at, item in enumerate(final.output) if item.type == "message"}
        made = {at: item.arguments for at, item in enumerate(final.output) if item.type == "function_call"}
        assert (texts, arguments) == (said, made) and said and made, provider


@pytest.fixture(scope="module")
def lively(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that gives a sign of life five times a second."""
    gateway = Gateway(tmp_path_factory.mktemp("lively"), simulator)
    gateway.configure(simulator, {"stream_keep_alive": "200ms"})
    yield gateway.start()
    assert gateway.stop() == 0, gateway.log()


SIGNS = {
    "openai": b": ping\n\n",
    "openai-responses": b": ping\n\n",
    "anthropic": b"event: ping\n",
    "gemini": b"\r\n\r\n\r\n",
}


@SPEAKS
def test_sdks_read_over_signs_of_life(lively: Gateway, simulator: Simulator, speaks: str) -> None:
    key = lively.create_key()
    client = speaker(speaks, lively.url, key)

    def ask(provider: str) -> None:
        # Two signs in each pause.
        said = "Grüße ⚖, and some more of it than goes into one piece"
        body = client.body(MODELS[provider], [User(f"pace:500 echo:{said}")])
        heard = client.say(body, stream=True)
        assert (heard.text, heard.finish) == (said, "stop"), provider
        reply = raw(lively, key, speaks, {**body, "stream": True})
        assert SIGNS[speaks] in reply.body, (provider, reply.body)

    with concurrent.futures.ThreadPoolExecutor(len(PROVIDERS)) as pool:
        list(pool.map(ask, PROVIDERS))


def memory(gateway: Gateway) -> int:
    """What the gateway has in memory, in bytes."""
    assert gateway.process
    status = pathlib.Path(f"/proc/{gateway.process.pid}/status").read_text()
    return 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])


@pytest.fixture
def patient(simulator: Simulator, tmp_path: pathlib.Path) -> Iterator[Gateway]:
    """A gateway that gives providers the time that a very long answer takes to be made."""
    simulator.forget()
    gateway = Gateway(tmp_path, simulator, {"first_byte": "50s", "idle": "50s"}).start()
    yield gateway
    gateway.kill()


@pytest.mark.parametrize("speaks", ["openai", "anthropic"])
def test_a_slow_client_slows_its_provider(patient: Gateway, simulator: Simulator, speaks: str) -> None:
    """An answer far larger than the sockets' buffers, and a client that reads nothing of it for a while."""
    key = patient.create_key()
    client = speaker(speaks, patient.url, key)
    client.say(client.body(MODELS["openai"], [User("hello")]), stream=True)
    before = memory(patient)
    body = client.body("openai/gpt-5-mini", [User("words:40000")], limit=120_000)
    connection = begin(patient, key, speaks, body, True, receive_buffer=64 * 1024)
    received = bytearray(connection.recv(1024))
    time.sleep(2)
    assert simulator.open_answers() == 1, "the whole answer went somewhere"
    grown = memory(patient) - before
    assert grown < 8 << 20, f"{grown} bytes more in memory"
    while piece := connection.recv(1 << 16):
        received += piece
    connection.close()
    end = bytes(received[-2000:])
    assert received.startswith(b"HTTP/1.1 200") and (b"[DONE]" in end or b"message_stop" in end), end
    [_, line] = sorted(simulator.invoice(), key=lambda line: line["usage"]["output"])
    assert line["end"] == "complete" and line["usage"]["output"] > 10_000
    print(f"{len(received)} bytes, {grown} more in memory while nobody read them")

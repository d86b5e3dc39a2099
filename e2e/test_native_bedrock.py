"""Bedrock's own calls, as AWS's SDK makes them: signed by the gateway, passed as they are, metered beside."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError, ReadTimeoutError
from urllib3.exceptions import HTTPError

from harness import books
from harness.issuer import SECRET, Issuer
from harness.processes import Gateway, Reply, Simulator, call

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "us.anthropic.claude-haiku-4-5-20251001-v1:0"


def client(gateway: Gateway, key: str, provider: str = "aws") -> Any:
    """AWS's client. Its own bearer tokens it sends over HTTPS only, so that the key is put in place of a signature."""

    def show(request: AWSPreparedRequest, **_: Any) -> None:
        request.headers["authorization"] = f"Bearer {key}"

    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, read_timeout=20)
    made = botocore.session.Session().create_client(
        "bedrock-runtime", "eu-central-1", endpoint_url=f"{gateway.url}/native/{provider}", config=config
    )
    made.meta.events.register("before-send.bedrock-runtime", show)
    return made


def asked(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"text": text}]}]


def converse(sdk: Any, model: str, text: str) -> str:
    limit = {"maxTokens": 400}
    answer = sdk.converse(modelId=model, messages=asked(text), inferenceConfig=limit)
    assert answer["stopReason"] == "end_turn" and answer["usage"]["outputTokens"] > 0
    return "".join(part["text"] for part in answer["output"]["message"]["content"])


def converse_stream(sdk: Any, model: str, text: str) -> str:
    answer = sdk.converse_stream(modelId=model, messages=asked(text), inferenceConfig={"maxTokens": 400})
    events = list(answer["stream"])
    assert "metadata" in events[-1], events
    return "".join(it["contentBlockDelta"]["delta"]["text"] for it in events if "contentBlockDelta" in it)


def messages(text: str) -> str:
    said = [{"role": "user", "content": text}]
    return json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 400, "messages": said})


def invoke(sdk: Any, model: str, text: str) -> str:
    answer = json.loads(sdk.invoke_model(modelId=model, body=messages(text))["body"].read())
    return "".join(part["text"] for part in answer["content"])


def invoke_stream(sdk: Any, model: str, text: str) -> str:
    answer = sdk.invoke_model_with_response_stream(modelId=model, body=messages(text))
    events = [json.loads(it["chunk"]["bytes"]) for it in answer["body"]]
    assert events[-1]["type"] == "message_stop", events
    return "".join(it["delta"].get("text", "") for it in events if it["type"] == "content_block_delta")


CALLS: dict[str, tuple[Callable[[Any, str, str], str], str]] = {
    "converse": (converse, NOVA),
    "converse-stream": (converse_stream, NOVA),
    "converse-claude": (converse, CLAUDE),
    "invoke": (invoke, CLAUDE),
    "invoke-stream": (invoke_stream, CLAUDE),
}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.close()


@pytest.fixture
def weighing(own_gateway: Gateway, simulator: Simulator, issuer: Issuer) -> Gateway:
    """A gateway, started, with fixed keys of AWS, and with those of the instance that it is on."""
    keys = {
        "aws": 'access_key_id = "AKIASIMULATED", secret_access_key = "secret-of-AKIASIMULATED"',
        "instance": f'from = "instance", metadata_url = "{issuer.url}"',
    }
    added = "".join(
        f"""
[providers.{name}]
preset = "bedrock"
base_url = "{simulator.urls["aws"]}"
region = "eu-central-1"
aws = {{ {said} }}
"""
        for name, said in keys.items()
    )
    own_gateway.config.write_text(own_gateway.config.read_text() + added)
    return own_gateway.start()


@pytest.fixture
def key(weighing: Gateway) -> str:
    """A key that may make native calls."""
    return weighing.create_key("--native", name="native")


@pytest.mark.parametrize("name", CALLS)
def test_each_call_is_signed_and_what_it_used_is_in_the_books(
    weighing: Gateway, simulator: Simulator, key: str, name: str
) -> None:
    ask, model = CALLS[name]
    assert ask(client(weighing, key), model, "echo:weighed") == "weighed"
    [entry] = books.assert_equal(weighing, simulator)
    assert (entry["provider"], entry["model"]) == ("aws", model)
    assert (entry["outcome"], entry["provenance"]) == ("success", "reported")
    assert books.nano_usd(entry["cost_usd"]) > 0
    [sent] = simulator.requests("aws")
    # The simulator has found the signature right.
    credential = f"AWS4-HMAC-SHA256 Credential=AKIASIMULATED/{datetime.datetime.now(datetime.UTC):%Y%m%d}"
    assert sent["headers"]["authorization"].startswith(f"{credential}/eu-central-1/bedrock/aws4_request")
    assert key not in json.dumps(sent)
    books.assert_nothing_pending(weighing)


def test_a_budget_bears_them_and_refuses_before_anything_is_sent(weighing: Gateway, simulator: Simulator) -> None:
    enough = weighing.create_key("--native", "--budget-usd-per-month", "1", name="enough")
    for ask, model in CALLS.values():
        assert ask(client(weighing, enough), model, "echo:weighed") == "weighed"
    spent = books.assert_equal(weighing, simulator)
    assert len(spent) == len(CALLS)
    poor = weighing.create_key("--native", "--budget-usd-per-month", "0.00001", name="poor")
    for ask, model in CALLS.values():
        with pytest.raises(ClientError) as refused:
            ask(client(weighing, poor), model, "echo:weighed")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert len(simulator.requests("aws")) == len(CALLS)
    assert len(books.assert_equal(weighing, simulator)) == len(CALLS)
    books.assert_nothing_pending(weighing)


def test_who_may_not(weighing: Gateway, simulator: Simulator) -> None:
    plain = weighing.create_key(name="plain")
    narrow = weighing.create_key("--native", "--model", f"aws/{NOVA}", name="narrow")
    for key, model, status in ((plain, NOVA, 403), (narrow, CLAUDE, 403), ("wb-nobody", NOVA, 401)):
        with pytest.raises(ClientError) as refused:
            converse(client(weighing, key), model, "hello")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert not simulator.requests("aws")
    assert converse(client(weighing, narrow), NOVA, "echo:weighed") == "weighed"


def test_what_bedrock_refuses_is_heard_as_bedrocks(weighing: Gateway, simulator: Simulator, key: str) -> None:
    sdk = client(weighing, key)
    for status, kind in ((400, "ValidationException"), (429, "ThrottlingException")):
        simulator.fail("aws", "status", code=status)
        with pytest.raises(ClientError) as refused:
            converse(sdk, NOVA, "hello")
        assert refused.value.response["Error"]["Code"] == kind
    # A credential of the gateway's own is no business of the client's.
    simulator.fail("aws", "status", code=403)
    with pytest.raises(ClientError) as refused:
        converse(sdk, NOVA, "hello")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 502
    for entry in books.assert_equal(weighing, simulator):
        assert entry["outcome"] == "failed-before-output" and books.nano_usd(entry["charged_usd"]) == 0


@pytest.mark.parametrize("name", ["converse-stream", "invoke-stream"])
@pytest.mark.parametrize("fault", ["cut-mid-stream", "reset-mid-stream", "error-mid-stream"])
def test_a_stream_that_breaks_raises_and_costs_nobody(
    weighing: Gateway, simulator: Simulator, key: str, name: str, fault: str
) -> None:
    ask, model = CALLS[name]
    simulator.fail("aws", fault, after_frames=5)
    with pytest.raises((EventStreamError, HTTPError, ReadTimeoutError)):
        ask(client(weighing, key), model, "words:100")
    [entry] = books.assert_equal(weighing, simulator)
    assert entry["outcome"] == "failed-mid-stream" and books.nano_usd(entry["charged_usd"]) == 0
    books.assert_nothing_pending(weighing)


def test_who_leaves_is_noticed_and_pays_what_was_sent(weighing: Gateway, simulator: Simulator, key: str) -> None:
    sdk = client(weighing, key)
    answer = sdk.converse_stream(modelId=NOVA, messages=asked("words:400 pace:5"))
    for _, _ in zip(range(10), answer["stream"], strict=False):
        pass
    answer["stream"].close()
    left = time.monotonic()
    while simulator.open_answers():
        assert time.monotonic() - left < 2, "the provider still generates"
        time.sleep(0.01)
    [entry] = books.assert_equal(weighing, simulator)
    assert entry["outcome"] == "client-left" and books.nano_usd(entry["charged_usd"]) > 0
    books.assert_nothing_pending(weighing)


def test_issued_keys_sign_native_calls(weighing: Gateway, simulator: Simulator, issuer: Issuer) -> None:
    key = weighing.create_key("--native", name="native")
    sdk = client(weighing, key, "instance")
    for ask, model in CALLS.values():
        assert ask(sdk, model, "echo:weighed") == "weighed"
    assert issuer.given == 1
    for sent in simulator.requests("aws"):
        assert "Credential=ASIAFINE/" in sent["headers"]["authorization"]
        assert sent["headers"]["x-amz-security-token"] == SECRET
    assert len(books.assert_equal(weighing, simulator)) == len(CALLS)
    assert SECRET not in weighing.log()


def test_issued_keys_sign_what_nobody_prices_as_well(weighing: Gateway, simulator: Simulator) -> None:
    sdk = client(weighing, weighing.create_key("--native", name="native"), "instance")
    with pytest.raises(ClientError) as refused:
        converse(sdk, "amazon.no-such-model-v1:0", "hello")
    # The signature was right; it is the model that is not there.
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 404)
    [entry] = books.settled(weighing, simulator)
    assert (entry["model"], entry["outcome"]) == ("native", "failed-before-output")


def test_a_rotation_costs_a_native_call_and_no_second_one(
    weighing: Gateway, simulator: Simulator, issuer: Issuer
) -> None:
    issuer.names = ["invalid"]
    sdk = client(weighing, weighing.create_key("--native", name="native"), "instance")
    # A native call is tried once; the next one has other keys.
    with pytest.raises(ClientError) as refused:
        converse(sdk, NOVA, "hello")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 502
    assert converse(sdk, NOVA, "echo:weighed") == "weighed"
    assert issuer.given == 2
    failed, answered = books.assert_equal(weighing, simulator)
    assert (failed["outcome"], answered["outcome"]) == ("failed-before-output", "success")


def test_without_keys_nothing_is_sent(weighing: Gateway, simulator: Simulator, issuer: Issuer) -> None:
    issuer.down = True
    key = weighing.create_key("--native", name="native")
    path = f"/native/instance/model/{NOVA.replace(':', '%3A')}/converse"
    reply: Reply = call(weighing.url + path, {"messages": asked("hello")}, headers={"authorization": f"Bearer {key}"})
    assert reply.status == 502 and SECRET not in str(reply.body), reply.body
    assert not simulator.requests("aws")
    books.assert_nothing_pending(weighing)

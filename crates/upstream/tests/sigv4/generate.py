"""Writes vectors.json: requests as botocore signs them, for the signer of this crate to be judged by.

    python3 -m venv /tmp/botocore && /tmp/botocore/bin/pip install botocore
    /tmp/botocore/bin/python generate.py > vectors.json

The keys are the examples of AWS's documentation. No request leaves the machine. The same version of
botocore, which the file names, writes the same bytes again.
"""

import datetime
import json
import sys
from unittest import mock

import botocore
import botocore.auth
import botocore.awsrequest
import botocore.session
from botocore.credentials import Credentials

KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQD+/example=="
TIME = datetime.datetime(2026, 11, 25, 20, 17, 54, tzinfo=datetime.UTC)

# What a signature adds. All else was there before.
OWN = {"authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"}

# What the client adds without signing it; some of it depends on the machine.
UNSIGNED = {"user-agent", "content-length", "expect", "amz-sdk-invocation-id", "amz-sdk-request"}

MODELS = [
    "amazon.nova-lite-v1:0",
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0",
]


def vector(name, request, time, token, region, service, without=frozenset(), **more):
    """One request with what its signature says."""
    given = [[n, v] for n, v in headers(request) if n.lower() not in OWN | without]
    signed = {n.lower(): v for n, v in headers(request)}
    body = request.body or b""
    return {
        "name": name,
        "time": int(time.timestamp()),
        "session_token": token,
        "region": region,
        "service": service,
        "method": request.method,
        "url": request.url,
        "headers": given,
        "body": body.decode() if isinstance(body, bytes) else body,
        "signed": {n: signed[n] for n in sorted(OWN & signed.keys())},
        **more,
    }


def headers(request):
    def text(value):
        return value.decode() if isinstance(value, bytes) else value

    return [(name, text(value)) for name, value in request.headers.items()]


def operations():
    """Requests as the client for Bedrock's runtime makes them."""
    messages = [{"role": "user", "content": [{"text": "Grüß Gott, 世界"}]}]
    anthropic = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 1, "messages": []})
    calls = [
        ("Converse", {"messages": messages}),
        ("ConverseStream", {"messages": messages}),
        ("InvokeModel", {"body": anthropic, "contentType": "application/json", "accept": "application/json"}),
        ("InvokeModelWithResponseStream", {"body": anthropic}),
        ("CountTokens", {"input": {"converse": {"messages": messages}}}),
    ]
    for token, models in ((None, MODELS), (TOKEN, MODELS[1:2])):
        for model in models:
            for operation, arguments in calls:
                request = prepared(operation, {"modelId": model, **arguments}, token)
                name = f"{operation} of {model}" + (" with a session token" if token else "")
                yield vector(name, request, TIME, token, "us-east-1", "bedrock", UNSIGNED, model=model)


def prepared(operation, arguments, token):
    """The signed request of one operation, caught before it is sent."""
    session = botocore.session.Session()
    session.set_credentials(KEY_ID, SECRET, token)
    client = session.create_client("bedrock-runtime", region_name="us-east-1")
    caught = []

    def catch(request, **_):
        caught.append(request)
        return botocore.awsrequest.AWSResponse(request.url, 503, {}, mock.Mock(stream=lambda: iter([b""])))

    client.meta.events.register("before-send.bedrock-runtime", catch)
    try:
        client._make_api_call(operation, arguments)
    except Exception:  # noqa: BLE001 - the made-up answer is refused, and the request is what is wanted
        pass
    return caught[0]


def oddities():
    """Requests that hit the corners of the algorithm."""
    host = "https://bedrock-runtime.eu-central-1.amazonaws.com"
    json_type = {"content-type": "application/json"}
    cases = [
        ("nothing but a path", "GET", f"{host}/", {}, b""),
        ("no path", "GET", host, {}, b""),
        ("a body of no text", "POST", f"{host}/x", {}, b"\x00\x01"),
        ("a body of some kilobytes", "POST", f"{host}/x", json_type, b'{"a":"' + b"x" * 5_000 + b'"}'),
        ("a colon that is not encoded", "POST", f"{host}/model/a.b-v1:0/converse", json_type, b"{}"),
        ("an encoded colon", "POST", f"{host}/model/a.b-v1%3A0/converse", json_type, b"{}"),
        ("an encoded slash", "POST", f"{host}/model/p%2Fq/converse", json_type, b"{}"),
        ("an encoded percent", "POST", f"{host}/model/p%25q/converse", json_type, b"{}"),
        ("letters that are not ASCII", "POST", f"{host}/model/%C3%A9%E4%B8%96/converse", json_type, b"{}"),
        ("what is never encoded", "POST", f"{host}/A-z_0.9~/x", json_type, b"{}"),
        ("what is not always encoded", "POST", f"{host}/a!$&'()*+,;=@b/x", json_type, b"{}"),
        ("dots and double slashes", "GET", f"{host}/a//b/./c/../d", {}, b""),
        ("a slash at the end", "GET", f"{host}/a/", {}, b""),
        ("a query", "GET", f"{host}/a?b=2&a=1&a=0", {}, b""),
        ("a query without values", "GET", f"{host}/a?list=&key=x%20y", {}, b""),
        ("blanks in a header", "GET", f"{host}/a", {"x-blanks": "  a   b  "}, b""),
        (
            "many headers",
            "POST",
            f"{host}/a",
            {**json_type, "b": "2", "a": "1", "x-amzn-bedrock-trace": "ENABLED"},
            b"{}",
        ),
        (
            "headers that are not signed",
            "POST",
            f"{host}/a",
            {
                "user-agent": "x/1",
                "x-amzn-trace-id": "Root=1",
                "connection": "keep-alive",
                "te": "trailers",
                "expect": "100-continue",
                "traceparent": "00-x",
                "baggage": "a=b",
                "accept": "*/*",
            },
            b"{}",
        ),
        ("another port", "POST", "http://127.0.0.1:8080/model/x/converse", json_type, b"{}"),
        ("its own port", "POST", "https://example.com:443/x", json_type, b"{}"),
    ]
    for name, method, url, given, body in cases:
        yield odd(name, TIME, None, "eu-central-1", "bedrock", method, url, given, body)
    last_second = datetime.datetime(2028, 2, 29, 23, 59, 59, tzinfo=datetime.UTC)
    for time in (
        last_second,
        last_second + datetime.timedelta(seconds=1),
        datetime.datetime(2031, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
    ):
        yield odd(
            f"at {time.isoformat()}", time, TOKEN, "us-gov-west-1", "sagemaker", "POST", f"{host}/x", json_type, b"{}"
        )


def odd(name, time, token, region, service, method, url, given, body):
    request = botocore.awsrequest.AWSRequest(method=method, url=url, headers=given, data=body)
    signer = botocore.auth.SigV4Auth(Credentials(KEY_ID, SECRET, token), service, region)
    with mock.patch("botocore.auth.get_current_datetime", lambda *_, **__: time):
        signer.add_auth(request)
    return vector(name, request, time, token, region, service)


def main():
    with mock.patch("botocore.auth.get_current_datetime", lambda *_, **__: TIME):
        vectors = [*operations(), *oddities()]
    written = {
        "written_by": f"generate.py with botocore {botocore.__version__}",
        "access_key_id": KEY_ID,
        "secret_access_key": SECRET,
        "vectors": vectors,
    }
    json.dump(written, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()

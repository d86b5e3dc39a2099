"""Credentials that are issued: asked for once, renewed when a provider refuses them, and never in a log."""

from __future__ import annotations

import base64
import concurrent.futures
import datetime
import json
import pathlib
import time
from collections.abc import Callable, Iterator

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import google.auth.jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from harness.issuer import ROLE, SECRET, Issuer, Question
from harness.processes import REPOSITORY, Gateway, Reply, Simulator, call

KEYS = REPOSITORY / "crates/upstream/tests/loopback/credentials/keys"
KEY, CERTIFICATE = KEYS / "rsa.key", KEYS / "rsa.pem"
EMAIL = "models@p.iam.gserviceaccount.com"
SCOPE = "https://cognitiveservices.azure.com/.default"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.close()


@pytest.fixture
def token_file(tmp_path: pathlib.Path) -> pathlib.Path:
    """What a cluster writes for its pods."""
    path = tmp_path / "pod-token"
    path.write_text("eyJ.pod.1\n")
    return path


def bedrock(aws: str) -> str:
    return f'preset = "bedrock"\nprotocol = "bedrock-converse"\nregion = "eu-central-1"\naws = {{ {aws} }}'


def vertex(gcp: str) -> str:
    place = 'region = "europe-west4"\nproject = "scales"\nprice_as = "vertex"'
    return f'preset = "vertex"\n{place}\ngcp = {{ {gcp} }}'


def openai(azure: str) -> str:
    return f'preset = "openai"\nprotocol = "openai-chat"\nazure = {{ {azure} }}'


def providers(issuer: Issuer, token_file: pathlib.Path, folder: pathlib.Path) -> dict[str, str]:
    """A provider for each way to a credential, without its base URL."""
    account = {"type": "service_account", "client_email": EMAIL, "private_key": KEY.read_text()}
    user = {"type": "authorized_user", "client_id": "c", "client_secret": SECRET, "refresh_token": "1//r"}
    workload = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/pools/p",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{issuer.url}/federated",
        "service_account_impersonation_url": f"{issuer.url}/account:generateAccessToken",
        "credential_source": {"file": str(token_file)},
    }
    files = {"account": account, "user": user, "workload": workload}
    for name, said in files.items():
        (folder / f"{name}.json").write_text(json.dumps(said))
    (folder / "entra.pem").write_text(CERTIFICATE.read_text() + KEY.read_text())

    sts, metadata = f'sts_url = "{issuer.url}"', f'metadata_url = "{issuer.url}"'
    token_url, authority = f'token_url = "{issuer.url}/token"', f'authority = "{issuer.url}"'
    fixed = 'access_key_id = "AKIABASE", secret_access_key = "base-secret"'
    client = f'tenant_id = "t", client_id = "c", {authority}'
    credentials = {name: f'credentials = "${{file:{folder}/{name}.json}}"' for name in files}
    return {
        "container": bedrock(f'from = "container", metadata_url = "{issuer.url}/keys"'),
        "web-identity": bedrock(f'web_identity = "{token_file}", role_arn = "{ROLE}", {sts}'),
        "role": bedrock(f'{fixed}, role_arn = "{ROLE}", external_id = "their/id", {sts}'),
        "instance": bedrock(f'from = "instance", {metadata}'),
        "aws-environment": bedrock(f'from = "environment", {sts}'),
        "account": vertex(f"{credentials['account']}, {token_url}"),
        "user": vertex(f"{credentials['user']}, {token_url}"),
        "workload": vertex(credentials["workload"]),
        "google-machine": vertex(f'from = "metadata", {metadata}'),
        "google-environment": vertex(f'from = "environment", {token_url}'),
        "entra": openai(f'{client}, client_secret = "{SECRET}"'),
        "certificate": openai(f'{client}, certificate = "${{file:{folder}/entra.pem}}"'),
        "cluster": openai(f'{client}, token_file = "{token_file}"'),
        "managed": openai(f'from = "managed-identity", {metadata}'),
        "azure-environment": openai('from = "environment"'),
    }


@pytest.fixture
def issued(
    own_gateway: Gateway,
    simulator: Simulator,
    issuer: Issuer,
    token_file: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Gateway:
    """A gateway, started, whose providers are shown what the issuer gives."""
    places = {
        "bedrock": simulator.urls["aws"],
        "vertex": f"{simulator.urls['google']}/v1/projects/scales/locations/europe-west4",
        "openai": f"{simulator.urls['openai']}/v1",
    }
    added = ""
    for name, said in providers(issuer, token_file, tmp_path).items():
        [place] = [place for preset, place in places.items() if f'preset = "{preset}"' in said]
        added += f'\n[providers.{name}]\nbase_url = "{place}"\n{said}\n'
    added += f"""
[providers.query]
preset = "gemini"
base_url = "{simulator.urls["google"]}/v1beta"
auth = "query"
api_keys = ["{SECRET}"]

[models.entra-or-other]
targets = ["entra/gpt-4o-mini"]
fallbacks = ["openai/gpt-4o-mini"]
"""
    own_gateway.config.write_text(own_gateway.config.read_text() + added)
    environment = {
        "AWS_ROLE_ARN": ROLE,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file),
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "account.json"),
        "AZURE_TENANT_ID": "t",
        "AZURE_CLIENT_ID": "c",
        "AZURE_FEDERATED_TOKEN_FILE": str(token_file),
        "AZURE_AUTHORITY_HOST": issuer.url,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return own_gateway.start()


def say(gateway: Gateway, key: str, kind: str) -> Reply:
    model = MODELS.get(kind, kind)
    body = {"model": model, "messages": [{"role": "user", "content": "echo:yes"}]}
    return call(f"{gateway.url}/v1/chat/completions", body, headers={"authorization": f"Bearer {key}"})


NOVA, FLASH, MINI = "amazon.nova-lite-v1:0", "gemini-2.5-flash-lite", "gpt-4o-mini"


def base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def is_web_identity(question: Question, issuer: Issuer) -> None:
    expected = {"Action": "AssumeRoleWithWebIdentity", "RoleArn": ROLE, "WebIdentityToken": "eyJ.pod.1"}
    assert expected.items() <= question.fields.items()
    assert "authorization" not in question.headers


def is_signed(question: Question, issuer: Issuer) -> None:
    """AWS's own signer comes to the same signature."""
    assert {"Action": "AssumeRole", "RoleArn": ROLE, "ExternalId": "their/id"}.items() <= question.fields.items()
    said = question.headers["authorization"]
    assert "/eu-central-1/sts/aws4_request" in said
    signed = said.split("SignedHeaders=")[1].split(",")[0].split(";")
    headers = {name: question.headers[name] for name in signed}
    request = botocore.awsrequest.AWSRequest("POST", f"{issuer.url}/", headers, question.body)
    request.context["timestamp"] = question.headers["x-amz-date"]
    signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials("AKIABASE", "base-secret"), "sts", "eu-central-1")
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert said.endswith(f"Signature={signer.signature(text, request)}")


def is_instance(question: Question, issuer: Issuer) -> None:
    opened, listed, asked = issuer.asked
    assert (opened.method, opened.path) == ("PUT", "/latest/api/token")
    assert [it.headers["x-aws-ec2-metadata-token"] for it in (listed, asked)] == ["instance-session"] * 2


def is_account(question: Question, issuer: Issuer) -> None:
    """Google's own library takes the assertion for one of the account's."""
    claims = google.auth.jwt.decode(question.fields["assertion"], certs=CERTIFICATE.read_text())
    assert (claims["iss"], claims["aud"]) == (EMAIL, "https://oauth2.googleapis.com/token")
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"


def is_user(question: Question, issuer: Issuer) -> None:
    expected = {"grant_type": "refresh_token", "client_secret": SECRET, "refresh_token": "1//r"}
    assert expected.items() <= question.fields.items()


def is_workload(question: Question, issuer: Issuer) -> None:
    assert issuer.asked[0].fields["subject_token"] == "eyJ.pod.1"
    assert question.headers["authorization"] == f"Bearer {SECRET}-federated"


def is_google_machine(question: Question, issuer: Issuer) -> None:
    path = "/computeMetadata/v1/instance/service-accounts/default/token"
    assert (question.path, question.headers["metadata-flavor"]) == (path, "Google")


def is_secret(question: Question, issuer: Issuer) -> None:
    expected = {"client_id": "c", "client_secret": SECRET, "scope": SCOPE}
    assert question.path == "/t/oauth2/v2.0/token" and expected.items() <= question.fields.items()


def is_certificate(question: Question, issuer: Issuer) -> None:
    """The assertion is signed by whoever has the certificate's key, and is for this issuer."""
    signed, signature = question.fields["client_assertion"].rsplit(".", 1)
    header, claims = (json.loads(base64url(part)) for part in signed.split("."))
    certificate = x509.load_pem_x509_certificate(CERTIFICATE.read_bytes())
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    certificate.public_key().verify(base64url(signature), signed.encode(), pss, hashes.SHA256())
    assert base64url(header["x5t#S256"]) == certificate.fingerprint(hashes.SHA256())
    assert (header["alg"], claims["aud"]) == ("PS256", f"{issuer.url}/t/oauth2/v2.0/token")


def is_cluster(question: Question, issuer: Issuer) -> None:
    assert question.path == "/t/oauth2/v2.0/token" and question.fields["client_assertion"] == "eyJ.pod.1"


def is_managed(question: Question, issuer: Issuer) -> None:
    assert question.path.startswith("/metadata/identity/oauth2/token?") and question.headers["metadata"] == "true"


def is_container(question: Question, issuer: Issuer) -> None:
    assert (question.method, question.path) == ("GET", "/keys")


# What is asked there, how many questions that takes, and how the last one proves who asks.
KINDS: dict[str, tuple[str, int, Callable[[Question, Issuer], None]]] = {
    "container": (NOVA, 1, is_container),
    "web-identity": (NOVA, 1, is_web_identity),
    "role": (NOVA, 1, is_signed),
    "instance": (NOVA, 3, is_instance),
    "aws-environment": (NOVA, 1, is_web_identity),
    "account": (FLASH, 1, is_account),
    "user": (FLASH, 1, is_user),
    "workload": (FLASH, 2, is_workload),
    "google-machine": (FLASH, 1, is_google_machine),
    "google-environment": (FLASH, 1, is_account),
    "entra": (MINI, 1, is_secret),
    "certificate": (MINI, 1, is_certificate),
    "cluster": (MINI, 1, is_cluster),
    "managed": (MINI, 1, is_managed),
    "azure-environment": (MINI, 1, is_cluster),
}
MODELS = {kind: f"{kind}/{model}" for kind, (model, _, _) in KINDS.items()}
# Those whose proof is in a file that somebody else writes anew.
OF_FILES = {"web-identity": "WebIdentityToken", "workload": "subject_token", "cluster": "client_assertion"}


@pytest.mark.parametrize("kind", KINDS)
def test_issued_credentials_are_asked_for_once_with_proof(issued: Gateway, issuer: Issuer, kind: str) -> None:
    _, questions, proves = KINDS[kind]
    key = issued.create_key()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: say(issued, key, kind), range(40)))
    assert [reply.status for reply in replies] == [200] * 40, replies[0].body
    assert len(issuer.asked) == questions and issuer.given == 1, issuer.asked
    proves(issuer.asked[-1], issuer)
    assert SECRET not in issued.log()


@pytest.mark.parametrize("kind", KINDS)
def test_a_rotation_at_the_provider_fails_no_request(issued: Gateway, issuer: Issuer, kind: str) -> None:
    issuer.names = ["invalid"]
    reply = say(issued, issued.create_key(), kind)
    assert reply.status == 200, reply.body
    assert (reply.headers["x-gateway-attempts"], issuer.given) == ("2", 2)
    assert SECRET not in issued.log()


@pytest.mark.parametrize("kind", OF_FILES)
def test_what_has_ended_is_renewed_with_what_its_file_has_by_then(
    issued: Gateway, issuer: Issuer, token_file: pathlib.Path, kind: str
) -> None:
    key = issued.create_key()
    issuer.life = datetime.timedelta(seconds=2)
    assert say(issued, key, kind).status == 200
    token_file.write_text("eyJ.pod.2")
    time.sleep(2)
    assert say(issued, key, kind).status == 200
    shown = [question.fields[OF_FILES[kind]] for question in issuer.asked if OF_FILES[kind] in question.fields]
    assert (shown[0], shown[-1]) == ("eyJ.pod.1", "eyJ.pod.2")


def test_without_a_credential_the_fallback_serves(issued: Gateway, issuer: Issuer) -> None:
    issuer.down = True
    key = issued.create_key()
    reply = say(issued, key, "entra")
    assert (reply.status, "provider `entra`" in reply.json()["error"]["message"]) == (502, True), reply.body
    assert say(issued, key, "entra-or-other").status == 200
    log = issued.log()
    assert "temporarily_unavailable" in log and SECRET not in log, log
    assert SECRET not in str(reply.body)


def test_a_key_in_the_query_is_in_no_log(issued: Gateway, simulator: Simulator) -> None:
    key = issued.create_key()
    assert say(issued, key, "query/gemini-2.5-flash-lite").status == 200
    assert f"key={SECRET}" in json.dumps(simulator.requests("google"))
    simulator.fail("google", "status", code=400)
    reply = say(issued, key, "query/gemini-2.5-flash-lite")
    assert reply.status == 400 and SECRET not in str(reply.body)
    assert SECRET not in issued.log()

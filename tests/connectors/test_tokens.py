"""What is asked of the identity server, and what its answers mean."""

from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from connectors import tokens
from connectors.integrations import PlatformClient, Secret
from connectors.port import Answer, Hold, NoAnswer, NoAnswerKind, Retry
from connectors.tokens import Token
from schemas.failures import FailureCode
from tests.connectors.loopback import START

CLIENT = PlatformClient(client_id="client-1", key=Secret(env="KEY"), scope="AppFramework")
URL = "https://login.example/connect/token"


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def read(answer: Answer | NoAnswer) -> Token | NoAnswer:
    return tokens.read_token(answer, asked_at=100.0, now=START)


def verdict(answer: Answer | NoAnswer) -> Hold | Retry:
    found = read(answer)
    assert isinstance(found, NoAnswer)
    assert (found.kind, found.sent) == (NoAnswerKind.TOKEN, False)
    assert found.verdict is not None
    return found.verdict


def test_the_assertion_says_who_to_whom_and_for_one_minute() -> None:
    """Contract sparebank1-regnskap 1.2 and 12.10."""
    assertion = tokens.signed_assertion(CLIENT, URL, pem(KEY), now=START, jti="id-1")
    assert assertion is not None
    assert jwt.get_unverified_header(assertion)["alg"] == "RS256"
    claims = jwt.decode(
        assertion,
        KEY.public_key(),
        algorithms=["RS256"],
        audience=URL,
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )
    issued = int(START.timestamp())
    assert claims == {
        "jti": "id-1",
        "iss": "client-1",
        "sub": "client-1",
        "aud": URL,
        "iat": issued,
        "nbf": issued,
        "exp": issued + 60,
    }


@pytest.mark.parametrize(
    "key", ["", "nonsense", pem(ec.generate_private_key(ec.SECP256R1()))], ids=["", "text", "ec"]
)
def test_a_key_that_is_no_rsa_key_is_no_exception(key: str) -> None:
    assert tokens.signed_assertion(CLIENT, URL, key, now=START, jti="id") is None


def test_the_form_is_the_contracts() -> None:
    assert parse_qs(tokens.token_form(CLIENT, "a.b.c").decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["AppFramework"],
        "client_id": ["client-1"],
        "client_assertion_type": ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"],
        "client_assertion": ["a.b.c"],
    }
    assert tokens.token_url("https://login.example") == URL


@pytest.mark.parametrize(
    ("body", "renew", "ends"),
    [
        (b'{"access_token":"t","expires_in":3600,"token_type":"Bearer"}', 3640, 3695),
        (b'{"access_token":"t","expires_in":"3600"}', 3640, 3695),
        (b'{"access_token":"t","expires_in":10}', 109, 109.5),
        (b'{"access_token":"t","expires_in":-4}', 100.9, 100.95),
        (b'{"access_token":"t"}', 370, 395),
    ],
)
def test_a_token_is_renewed_before_its_end(body: bytes, renew: float, ends: float) -> None:
    token = read(Answer(status=200, body=body))
    assert isinstance(token, Token)
    assert token.value == "t"
    assert (token.renew_at, token.ends_at) == pytest.approx((renew, ends))
    assert tokens.usable(token, ends - 0.01)
    assert not tokens.usable(token, ends)
    assert tokens.renewal_due(token, renew)
    assert not tokens.renewal_due(token, renew - 0.01)


@given(st.floats(0, 10**7))
def test_any_life_leaves_time_to_renew_before_the_end(life: float) -> None:
    token = read(Answer(status=200, body=b'{"access_token":"t","expires_in":%f}' % life))
    assert isinstance(token, Token)
    assert token.issued_at < token.renew_at < token.ends_at


def test_a_token_shows_nothing() -> None:
    token = read(Answer(status=200, body=b'{"access_token":"hush","expires_in":3600}'))
    assert "hush" not in repr(token)
    assert "hush" not in str(token)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"error":"invalid_client"}'),
        (400, b'{"error":"invalid_scope"}'),
        (401, b'{"error":"unauthorized_client"}'),
        (403, b"<html>forbidden</html>"),
        (404, b""),
        (302, b""),
    ],
)
def test_a_refusal_of_the_client_holds_and_is_quoted(status: int, body: bytes) -> None:
    found = verdict(Answer(status=status, body=body))
    assert isinstance(found, Hold)
    assert found.failure.code is FailureCode.CREDENTIALS_REFUSED
    assert found.failure.parameters["answer"].startswith(str(status))
    assert body.decode() in found.failure.parameters["answer"]


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (500, b"", FailureCode.SYSTEM_UNAVAILABLE),
        (503, b"<html>", FailureCode.SYSTEM_UNAVAILABLE),
        (429, b"", FailureCode.TOO_MANY_REQUESTS),
        (408, b"", FailureCode.TOO_MANY_REQUESTS),
        (400, b'{"error":"temporarily_unavailable"}', FailureCode.TOO_MANY_REQUESTS),
        (200, b"<html>", FailureCode.ANSWER_NOT_UNDERSTOOD),
        (200, b"{}", FailureCode.ANSWER_NOT_UNDERSTOOD),
        (200, b"\xff", FailureCode.ANSWER_NOT_UNDERSTOOD),
        (200, b'{"access_token":""}', FailureCode.ANSWER_NOT_UNDERSTOOD),
        (200, b'{"access_token":"a\\r\\nX: y"}', FailureCode.ANSWER_NOT_UNDERSTOOD),
        (200, b'{"access_token":"t","expires_in":"soon"}', FailureCode.ANSWER_NOT_UNDERSTOOD),
        (200, b'{"x":' + b"[" * 100_000, FailureCode.ANSWER_NOT_UNDERSTOOD),
    ],
)
def test_what_may_pass_by_itself_is_tried_again(
    status: int, body: bytes, code: FailureCode
) -> None:
    found = verdict(Answer(status=status, body=body))
    assert isinstance(found, Retry)
    assert found.failure.code is code


def test_retry_after_of_the_identity_server_is_kept() -> None:
    found = verdict(Answer(status=503, headers={"retry-after": "7"}))
    assert isinstance(found, Retry)
    assert found.retry_after == 7


def test_no_answer_is_tried_again() -> None:
    found = verdict(NoAnswer(kind=NoAnswerKind.TIMEOUT, sent=True))
    assert isinstance(found, Retry)
    assert found.failure.code is FailureCode.CONNECTION_FAILED


def test_a_refused_token_is_renewed_unless_it_is_fresh() -> None:
    """Contract sparebank1-regnskap 12.9: a 401 right after a fresh token is access, no loop."""
    fresh = Token(value="t", issued_at=0, renew_at=3540, ends_at=3595)
    proven = Token(value="t", issued_at=0, renew_at=3540, ends_at=3595, proven=True)
    refused = Token(
        value="t", issued_at=0, renew_at=3540, ends_at=3595, proven=True, refused=frozenset({"i"})
    )
    assert not tokens.worth_renewing(fresh, "i", 59.9)
    assert tokens.worth_renewing(fresh, "i", 60.0)
    assert tokens.worth_renewing(proven, "i", 1.0)
    assert not tokens.worth_renewing(refused, "i", 1.0)
    assert tokens.worth_renewing(refused, "j", 1.0)
    assert tokens.worth_renewing(refused, "i", 60.0)

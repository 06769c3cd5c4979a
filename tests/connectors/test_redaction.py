import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.redaction import HIDDEN, TEXT_MAX, cleared, excerpt

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl-_x"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cr3t-t0ken",
        "authorization: bearer s3cr3t-t0ken",
        "Basic s3cr3t-t0ken",
        '{"access_token":"s3cr3t-t0ken","expires_in":3600}',
        '{"access_token" : "s3cr3t-t0ken\\"s3cr3t-t0ken"}',
        "grant_type=x&client_assertion=s3cr3t-t0ken&scope=y",
        "CompanyKey: s3cr3t-t0ken",
        '{"CompanyKey":"s3cr3t-t0ken"}',
        '{"Token":"s3cr3t-t0ken"}',
        "-----BEGIN PRIVATE KEY-----\ns3cr3t-t0ken\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\ns3cr3t-t0ken cut",
        "password=s3cr3t-t0ken",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    assert "s3cr3t" not in cleared(text)
    assert HIDDEN in cleared(text)


def test_jwts_are_hidden_wherever_they_stand() -> None:
    assert cleared(f"token {JWT} is bad") == f"token {HIDDEN} is bad"
    assert JWT[:30] not in cleared(JWT[:30])


@given(st.text(max_size=30), st.text(max_size=30))
def test_known_secrets_are_hidden_in_any_text(before: str, after: str) -> None:
    secret = "2f7c0c52-0a5e-4d0e-9d32-3f2a1f8d8b11"
    assert secret not in cleared(before + secret + after, (secret,))


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"Messages":[{"Message":"Regnskapet er låst til 28.02.2026"}]}',
        '{"CustomerNumber":100001,"Info":{"Name":"Fjordkraft Rådgivning AS"}}',
        "Authorization has been denied for this request.",
    ],
)
def test_what_people_need_to_read_is_left_alone(text: str) -> None:
    assert cleared(text, ("", "unrelated")) == text


@given(st.binary(max_size=20_000))
def test_an_excerpt_is_bounded_and_never_raises(body: bytes) -> None:
    assert len(excerpt(body, ("abc",))) <= TEXT_MAX


@given(st.integers(0, 12_000))
def test_a_known_secret_is_hidden_wherever_the_text_is_cut(position: int) -> None:
    secret = "q" * 36
    body = ("x" * position + secret + "y" * 12_000).encode()
    assert "qq" not in excerpt(body, (secret,))


@pytest.mark.parametrize("offset", range(36))
def test_a_secret_at_the_edge_of_what_is_searched_is_hidden(offset: int) -> None:
    """Hiding makes a text shorter, so that the searched part's edge comes into sight."""
    secret = "q" * 36
    body = ("x" * offset + secret * 400).encode()
    assert "q" not in excerpt(body, (secret,))


def test_no_body_is_no_text() -> None:
    assert excerpt(None) == excerpt(b"") == ""

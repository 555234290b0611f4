"""Credentials in text are replaced; what only looks like one is not."""

from __future__ import annotations

import pytest
from podtask.runner.safe_text import escape_controls, redact, safe_text

JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJ1c2VyIn0.c2lnbmF0dXJl"


@pytest.mark.fault(92)
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:hunter2@index.example/simple", "https://***@index.example/simple"),
        ("https://hunter2@index.example/simple/ x", "https://***@index.example/simple/ x"),
        (
            "a @ git+https://me:hunter2@h.example/a.git@v1#egg=a",
            "a @ git+https://***@h.example/a.git@v1#egg=a",
        ),
        ("git+ssh://git@h.example/a.git", "git+ssh://***@h.example/a.git"),
        ("proxy 'http://me:p@hunter2@proxy:3128' refused", "proxy 'http://***@proxy:3128' refused"),
        ("socks5://me:hunter2@proxy, then", "socks5://***@proxy, then"),
        ("https://h/simple?token=hunter2&x=1", "https://h/simple?token=***&x=1"),
        ("https://h/a.whl?X-Amz-Credential=hunter2&X-Amz-Signature=hunter2", None),
        ("https://h/a.whl?sv=1&sig=hunter2#x", "https://h/a.whl?sv=1&sig=***#x"),
        ("login failed: password=hunter2, api_key=hunter2", "login failed: password=***, api_key=***"),
        ("Authorization: Bearer hunter2hunter2hunter2", "Authorization: Bearer ***"),
        (f"the token {JWT} expired", "the token *** expired"),
    ],
)
def test_credentials_are_replaced(text: str, shown: str | None) -> None:
    """The parts of a text that are credentials are replaced, and the rest stays readable."""
    assert shown is None or redact(text) == shown
    assert "hunter2" not in redact(text)
    assert "c2lnbmF0dXJl" not in redact(text)
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://index.example/simple",
        "https://h.example:8443/a.git@v1",
        "registry.example/team/image@sha256:" + 64 * "a",
        "https://h.example/page#a@b and mail to a@b.example",
        "secret:\n  secretName: db",
        'env_from_secret(secret="db", keys=["token"])',
        "call(token=[1], secret=(2), api_key={})",
        "Basic authentication is off",
    ],
)
def test_other_text_stays(text: str) -> None:
    """Addresses without credentials, digests, YAML and Python code are unchanged."""
    assert redact(text) == text


@pytest.mark.fault(90)
@pytest.mark.parametrize("piece", ["a-", "token", "://", "eyJ", "Bearer ", "a@", "sig=(", "\x1b["], ids=repr)
def test_time_is_in_proportion_to_the_length(piece: str) -> None:
    """A long text of a pod that is not trusted does not stop the kernel: with a quadratic pattern, this takes minutes."""
    assert len(safe_text(piece * 250_000)) > 0


def test_long_words_of_a_login_program_are_replaced() -> None:
    """In the output of a login program, any long word may be a token."""
    assert redact(f"token {40 * 'a'} refused", long_words=True) == "token *** refused"
    assert redact(f"token {39 * 'a'} refused", long_words=True) == f"token {39 * 'a'} refused"


@pytest.mark.fault(91)
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b[1;31mgone", r"\x1b[2J\x1b[1;31mgone"),
        ("\x1b]0;title\x07 \x1b]8;;http://x\x1b\\link", r"\x1b]0;title\x07 \x1b]8;;http://x\x1b" + "\\link"),
        ("\x9b2J \x90q \x7f \x00 \x08", r"\x9b2J \x90q \x7f \x00 \x08"),
        ("paid\rfree", r"paid\rfree"),
        ("a\u202eb\u2066c\u2069", r"a\u202eb\u2066c\u2069"),
        ("two\nlines\tand tabs, é, 한, 🙂, \u200d, \\x1b", None),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str | None) -> None:
    """Characters that control a terminal become visible; line feeds, tabs and letters stay."""
    assert escape_controls(text) == (text if shown is None else shown)
    assert safe_text(safe_text(text)) == escape_controls(text)

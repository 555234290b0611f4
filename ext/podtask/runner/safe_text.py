"""Make text safe to show: without credentials, and without characters that control a terminal.

It is used by the notebook for whatever it shows, and by the worker for what pip prints.
"""

import re

MASK = "***"
# Between :// and @, in the address of an index, a repository or a proxy.
USERINFO = re.compile(r"(?<=://)[^\s/?#'\"<>]*@")
# The end of a secret's name and its value, in the query of an address or in a message. A pattern that began with the
# whole name would take time in proportion to the square of a long word, which others may write.
ASSIGNED = re.compile(
    r"(?i)(?P<name>token|secret|passw(?:or)?d|signature|credential|api[-_]?key|\bsig)="
    r"(?![(\[{])[^\s&#;,'\"<>]+"
)
HEADER = re.compile(r"(?i)\b(?P<scheme>Bearer|Basic) [\w.~+/=-]{16,}")
JSON_WEB_TOKEN = re.compile(r"\beyJ[\w.-]{16,}")
LONG_WORD = re.compile(r"[\w+/=-]{40,}")
# All but the tab and the line feed. Those that change the direction of text can hide a part of it.
CONTROL_CHARACTER = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]")


def safe_text(text: str) -> str:
    """Return a text for the user: without credentials, and with control characters escaped."""
    return escape_controls(redact(text))


def escape_controls(text: str) -> str:
    """Return a text with control characters escaped, as Python escapes them.

    What the cluster or other people write may hold sequences that make a terminal hide or change text. The
    cell's own output is not escaped: its colors and progress bars are meant.
    """
    return CONTROL_CHARACTER.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def redact(text: str, long_words: bool = False) -> str:
    """Return a text in which credentials are replaced: in addresses, in assignments, in headers, and tokens.

    Args:
        text: The text.
        long_words: Replace all words of 40 characters too, because any of them may be a token. The digest of
            an image is such a word.
    """
    text = USERINFO.sub(f"{MASK}@", text)
    text = ASSIGNED.sub(rf"\g<name>={MASK}", text)
    text = HEADER.sub(rf"\g<scheme> {MASK}", text)
    text = JSON_WEB_TOKEN.sub(MASK, text)
    return LONG_WORD.sub(MASK, text) if long_words else text

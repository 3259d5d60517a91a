"""Nothing that looks like a secret reaches a log line."""

import re
from collections.abc import Mapping, MutableMapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

HIDDEN = "[hidden]"
DEEPEST = 8  # levels of nesting that are looked into; what lies deeper is not shown at all

# Values under such a name are hidden whole, whatever they look like.
_SECRET_NAME = re.compile(
    r"token|secret|passw|passphrase|authorization|cookie|credential|csrf|signature|verifier|session|nonce|otp"
    r"|(?:api|app|private|encryption|signing)[_-]?key",
    re.I,
)
_EQUALS = r"(?:=|%(?:25)*3D)"  # also inside an address that is itself a parameter (?next=...), encoded once or more
_PARAMETER = r"(?:^|[?&;\s\"'(]|%(?:25)*(?:3F|26))"
_QUOTED = r"\"(?:\\.|[^\"\\])*\"?|'(?:\\.|[^'\\])*'?"
_BARE = r"[^\s\"'&,;}]+"
_WORD = r"(?:[A-Z]?[a-z]{1,19}|[A-Z]{1,19})(?![\w\-.~+/=@%])"  # "token refused": prose, no secret

# In text, secrets are known by what stands before them, or by their own form. Group 1 stays, the rest is hidden.
_SECRET_TEXT = [
    re.compile(pattern, re.I | re.S)
    for pattern in (
        r"()-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        r"(\b[a-z][a-z0-9+.-]{1,20}://)[^\s/?#\"'@]+@",  # user:password@host of an address
        r"(\b(?:set-)?cookie:\s*)[^\r\n]+",
        r"(\bauthorization[\"']?\s*[:=]\s*(?:b?[\"'])?)(?:(?:bearer|basic|token)\s+)?" + _BARE,
        rf"(\b(?:(?:access|refresh|id|api|csrf|oauth)[_-]?token|csrfmiddlewaretoken|sessionid|client_secret|app_secret"
        rf"|secret|secret_key|code_verifier|oauth_verifier|oauth_signature|password|passwd|passphrase|api_?key|app_?key|token|signature)"
        rf"\\*[\"']?\s*(?:=|:|%(?:25)*3D)\s*)(?:b?(?:{_QUOTED})|\\*[\"']?{_BARE})",
        # Links of mails: whoever opens one is let in, or sets a new password.
        r"(/accounts/(?:password/reset/key/[^/\s-]+-(?!set-password)|confirm-email/))[^/\s\"'?]+",
        rf"({_PARAMETER}(?:code|state|session|nonce|key){_EQUALS}){_BARE}",
        # The same in JSON or a dict's repr, where short lower-case words are error codes and states of ours.
        r"([\"'](?:code|state|session|nonce)\\*[\"']\s*:\s*\\*[\"'])(?![a-z_]{1,40}\\*[\"'])[^\"'\\]{16,}",
    )
]
_SECRET_TEXT += [
    re.compile(pattern)
    for pattern in (
        rf"(\b(?i:bearer|basic|token)\s+)(?!{_WORD})[\w\-.~+/=@%]{{8,}}",
        r"()\bhub_[0-9a-f]{16,}",  # our API tokens
        r"()\bwhsec_[\w+/=-]{8,}",  # what webhooks are signed with
        r"()\b[CI]\d\.[\w\-.~+/=%]{8,}@?",  # Schwab's codes and access tokens
        r"()\beyJ[\w-]{6,}\.[\w-]+(?:\.[\w-]*)?",  # JSON web tokens
    )
]


def redact(text: str) -> str:
    """`text` with what carries a secret replaced: headers, form fields, query values, keys, tokens of known forms."""
    for pattern in _SECRET_TEXT:
        text = pattern.sub(lambda match: match[1] + HIDDEN, text)
    return text


def _clean(name: str, value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth > DEEPEST or _SECRET_NAME.search(name):
        return HIDDEN
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bytes):
        return redact(value.decode("latin-1"))
    if isinstance(value, Mapping):
        return {redact(str(key)): _clean(str(key), item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean("", item, depth + 1) for item in value]
    if isinstance(value, date | Decimal | UUID | Path):
        return str(value)
    return redact(repr(value))


def hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor; works on the event's own text as well as on its named values."""
    for name, value in list(event.items()):
        if name not in {"_record", "_from_structlog", "_logger", "exc_info"}:
            event[name] = _clean(name, value)
    return event

"""Nothing that looks like a secret reaches a log line."""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

HIDDEN = "[hidden]"
_SECRET_NAME = re.compile(
    r"token|secret|passw|authorization|cookie|credential|csrf|api_?key|app_?key|signature|verifier|session", re.I
)
_SECRET_TEXT = re.compile(
    r"(?i)(\b(?:bearer|basic|token)\s+)[\w\-.~+/=@%]{8,}"
    r"|((?:access_token|refresh_token|id_token|client_secret|code|code_verifier|password|state|session)"
    r"[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,}]+"
)


def redact(text: str) -> str:
    """`text` with bearer values, form fields and query values that carry secrets replaced."""
    return _SECRET_TEXT.sub(lambda match: (match[1] or match[2]) + HIDDEN, text)


def _clean(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name) and isinstance(value, str | bytes | Mapping | list | tuple):
        return HIDDEN
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _clean(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean("", item) for item in value]
    return value


def hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor; works on the event's own text as well as on its named values."""
    for name, value in list(event.items()):
        if name not in {"_record", "_from_structlog", "_logger", "exc_info"}:
            event[name] = _clean(name, value)
    return event

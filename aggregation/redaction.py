"""Account numbers in what the brokers sent: shown by their last four characters only."""

import re
from typing import Any

_NAMED_ACCOUNT = re.compile(r"account|acct", re.IGNORECASE)
_LONG = 4


def masked(value: Any, *, known: tuple[str, ...] = ()) -> Any:
    """JSON with what stands under keys that name an account masked, and `known` numbers wherever they stand."""
    if isinstance(value, dict):
        return {
            key: _mask_leaves(item) if _NAMED_ACCOUNT.search(key) else masked(item, known=known)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [masked(item, known=known) for item in value]
    if isinstance(value, str | int) and not isinstance(value, bool):
        text = str(value)
        for number in known:
            text = text.replace(number, mask(number))
        return value if text == str(value) else text
    return value


def mask(number: str) -> str:
    """All but the last four characters; the whole of a shorter one."""
    return "…" + number[-_LONG:] if len(number) > _LONG else "…"


def _mask_leaves(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _mask_leaves(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_mask_leaves(item) for item in value]
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return mask(text) if any(character.isdigit() for character in text) else value

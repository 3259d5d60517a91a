"""What a tool of the MCP server is: how it is described, what it may be asked with, and its pages."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

PAGE_SIZE = 50
Arguments = Mapping[str, Any]


class ToolError(Exception):
    """What the tool says instead of an answer."""


TEXT = {"type": "string"}
KINDS: dict[str, dict[str, Any]] = {  # of arguments that are not text
    "symbols": {"type": ["null", "array"], "items": TEXT},
    "instrument_ids": {"type": ["null", "array"], "items": TEXT},
    "nonzero": {"type": "boolean"},
}


@dataclass(frozen=True, slots=True)
class Tool:
    """`answer` takes login and arguments and returns the data."""

    name: str
    description: str
    answer: Callable[[str, Arguments], dict[str, Any]]
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    reads: bool = True

    def described(self) -> dict[str, Any]:
        schema = {
            "type": "object", "properties": {name: KINDS.get(name, TEXT) for name in (*self.needs, *self.takes)},
            "required": list(self.needs), "additionalProperties": False,
        }  # fmt: skip
        return {
            "name": self.name,
            "description": self.description,
            "inputSchema": schema,
            "annotations": {"readOnlyHint": self.reads, "destructiveHint": not self.reads},
        }

    def ask(self, login: str, arguments: Arguments) -> dict[str, Any]:
        """The data, if the arguments are as described. Raises ToolError."""
        for name, value in arguments.items():
            if name not in (*self.needs, *self.takes):
                raise ToolError(f"INVALID_ARGUMENT: unexpected {name}")
            if not isinstance(value, PYTHON[_kind(name)]):
                raise ToolError(f"INVALID_ARGUMENT: {name} must be of type {_kind(name)}")
        for name in self.needs:
            if not arguments.get(name):
                raise ToolError(f"INVALID_ARGUMENT: {name} is required")
        return self.answer(login, arguments)


PYTHON: dict[str, type] = {"string": str, "array": list, "boolean": bool}


def _kind(name: str) -> str:
    kind = KINDS.get(name, TEXT)["type"]
    return str(kind if isinstance(kind, str) else kind[-1])


def page(name: str, rows: list[dict[str, Any]], arguments: Arguments) -> dict[str, Any]:
    """So many rows from `cursor` on; `next` is an address with the cursor that follows, or empty."""
    cursor = arguments.get("cursor")
    try:
        start = int(base64.b64decode(cursor, validate=True)) if cursor else 0
    except (binascii.Error, ValueError, TypeError) as error:
        raise ToolError("INVALID_ARGUMENT: cursor") from error
    end = start + PAGE_SIZE
    cursor = base64.b64encode(str(end).encode()).decode()
    following = f"https://api.robinhood.com/{name}/?{urlencode({'cursor': cursor})}" if end < len(rows) else ""
    return {name: rows[start:end], "next": following}

"""A field's value as JSON, and back. Exact: decimals and times are text, bytes are base64."""

from base64 import b64decode, b64encode
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import BinaryField, Field

from aggregation.serializers import plain


def told(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return b64encode(bytes(value)).decode()
    return str(value) if isinstance(value, UUID) else value


def meant(field: "Field[Any, Any]", value: Any) -> Any:
    """What `told` was told. Raises ValueError and ValidationError for what cannot be of this field."""
    if value is None:
        return None
    if isinstance(field, BinaryField):
        return b64decode(value, validate=True)
    if isinstance(value, float):
        raise ValueError("a number that is not exact")
    return field.to_python(value)

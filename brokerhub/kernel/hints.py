"""A place in Redis for what can be worked out again: with Redis away, nothing is remembered and nobody is stopped.

`hints` is used like `django.core.cache.cache` and has the same keys. What must not be forgotten unnoticed, such as
counted guesses and forms that are good once, stays in that one: it raises when Redis is away.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import structlog
from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.redis import RedisCache
from django.utils.connection import ConnectionProxy
from redis.exceptions import RedisError

__all__ = ["Hints", "hints"]

log = structlog.get_logger(__name__)
Answer = TypeVar("Answer")


class Hints(RedisCache):
    """As an empty cache that keeps nothing, while Redis is away."""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        try:
            return super().get(key, default, version)
        except RedisError as error:
            return _without(error, default)

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        try:
            return super().get_many(keys, version)
        except RedisError as error:
            return _without(error, {})

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        try:
            return super().add(key, value, timeout, version)
        except RedisError as error:
            return _without(error, True)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        try:
            super().set(key, value, timeout, version)
        except RedisError as error:
            _without(error, None)

    def set_many(self, data: dict[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> list[Any]:
        try:
            return super().set_many(data, timeout, version)
        except RedisError as error:
            return _without(error, list(data))

    def delete(self, key: Any, version: int | None = None) -> bool:
        try:
            return super().delete(key, version)
        except RedisError as error:
            return _without(error, False)

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Raises ValueError for a key that is not there, which with Redis away is every one."""
        try:
            return super().incr(key, delta, version)
        except RedisError as error:
            _without(error, None)
            raise ValueError(f"{key} is not known") from error


def _without(error: RedisError, answer: Answer) -> Answer:
    log.warning("hint_without_redis", error=type(error).__name__)
    return answer


hints = ConnectionProxy(caches, "hints")

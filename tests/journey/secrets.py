"""Looking for secrets in all the hub says or keeps, in every spelling that they could have there."""

import json
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import redis
from django.contrib.sessions.models import Session
from django.db import connection

from brokerhub.backup import programs


def spellings(secret: str) -> set[str]:
    """As it is, in an address, in JSON, in hexadecimal (bytes in a dump), and in base64 whatever stands before it."""
    plain = secret.encode()
    return {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], plain.hex(), *_in_base64(plain)}


def _in_base64(plain: bytes) -> Iterator[str]:
    for before, altered in ((0, 0), (1, 2), (2, 3)):
        text = b64encode(bytes(before) + plain).decode().rstrip("=")
        whole = len(text) - bool((before + len(plain)) % 3)  # the last letter depends on what follows
        yield text[altered:whole]


def found(secrets: Mapping[str, str], text: str) -> set[str]:
    """Names of the secrets that are in `text`."""
    return {name for name, secret in secrets.items() if any(spelled in text for spelled in spellings(secret))}


def dumped() -> str:
    """What `pg_dump` writes of the database, which is what a thief or a backup has."""
    with tempfile.TemporaryFile() as errors:
        process = programs.start(connection, "pg_dump", errors=errors)
        said, _ = process.communicate()
        errors.seek(0)
        assert process.returncode == 0, errors.read()
    return said.decode()


def sessions() -> str:
    """What browsers' sessions hold, which is packed in the dump."""
    return str([session.get_decoded() for session in Session.objects.all()])


def in_redis(client: "redis.Redis") -> tuple[str, list[dict[str, Any]]]:
    """All values, and the tasks that wait, taken apart."""
    values = [each for key in client.scan_iter() for each in [key, *_values(client, key)]]
    tasks = [json.loads(value) for value in values if value.startswith(b'{"body"')]
    bodies = [b64decode(task["body"]) for task in tasks]
    return b"\n".join([*values, *bodies]).decode("latin-1"), tasks


def _values(client: Any, key: bytes) -> list[bytes]:
    """By its type; DUMP would pack it."""
    match client.type(key):
        case b"string":
            return [client.get(key) or b""]
        case b"list":
            return list(client.lrange(key, 0, -1))
        case b"set":
            return list(client.smembers(key))
        case b"zset":
            return list(client.zrange(key, 0, -1))
        case b"hash":
            return [part for pair in client.hgetall(key).items() for part in pair]
        case other:
            raise AssertionError(f"a key of type {other!r} is not looked into")

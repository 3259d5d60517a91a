"""What may be wrong with the ports and servers a user chose, each told in one sentence without a password."""

import errno
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg.conninfo import conninfo_to_dict

CONNECT_SECONDS = 5


class CannotStart(Exception):
    """The text is the end of the sentence "The hub cannot start: ..."."""


def port_of(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise CannotStart(f"{name} must be a number from 1 to 65535, not {text!r}.")
    return int(text)


def check_port(name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do, so that a restart is at once
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            why = (
                "is taken by another program"
                if error.errno == errno.EADDRINUSE
                else f"cannot be used: {error.strerror}"
            )
            raise CannotStart(
                f"port {port} {why}; choose another, such as {name}={port % 65535 + 1} make run."
            ) from None


def check_database(url: str) -> None:
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:  # its text may quote the password
        raise CannotStart("DATABASE_URL must look like postgresql://USER:PASSWORD@HOST:5432/NAME.") from None
    place = f"{parts.get('host') or 'localhost'}:{parts.get('port') or 5432}"
    try:
        psycopg.connect(url, connect_timeout=CONNECT_SECONDS).close()
    except psycopg.Error as error:
        # PostgreSQL's own refusals come after FATAL and name user or database, never the password.
        _, refused, reason = str(error).strip().rpartition("FATAL:")
        if refused:
            raise CannotStart(f"PostgreSQL at {place} (DATABASE_URL) refuses: {reason.strip()}.") from None
        raise CannotStart(f"no PostgreSQL answers at {place} (DATABASE_URL).") from None


def check_redis(url: str) -> None:
    try:
        parts = urlsplit(url)
        place = parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"
        client = redis.Redis.from_url(url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS)
    except ValueError:
        raise CannotStart("REDIS_URL must look like redis://:PASSWORD@HOST:6379/0 or unix:///PATH?db=0.") from None
    try:
        with client:
            client.ping()
    except (redis.AuthenticationError, redis.ResponseError):
        raise CannotStart(f"Redis at {place} (REDIS_URL) refuses the login.") from None
    except redis.RedisError:
        raise CannotStart(f"no Redis answers at {place} (REDIS_URL).") from None

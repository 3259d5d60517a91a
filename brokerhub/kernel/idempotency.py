"""`Idempotency-Key`: a POST that is sent again, because its answer was lost, is answered again and not done again.

As in https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/. A key belongs to a person and an
address and is kept for a day. Only a success keeps its key: what was refused has done nothing and may be mended.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from django.core.cache import cache
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponseBase
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from brokerhub.kernel.errors import HubError

if TYPE_CHECKING:  # rest_framework.views itself imports the classes that the settings name
    from rest_framework.views import APIView

HEADER = "Idempotency-Key"
KEPT = 24 * 3600
RUNNING = 120  # seconds; longer than any request may take, shorter than a person would wait after a crash
_KEY = re.compile(r"[\x21-\x7e]{1,128}")


class KeyReused(HubError):
    status = 422
    code = "idempotency_key_reused"


class KeyInUse(HubError):
    status = 409
    code = "idempotency_key_in_use"


class Answered(Exception):
    """Not an error: the request was done before. `status`, `body` and `location` are the answer it had then."""

    def __init__(self, status: int, body: Any, location: str | None) -> None:
        super().__init__("This request has been answered before.")
        self.status, self.body, self.location = status, body, location


class OncePerKey(BasePermission):
    """Stands last among the permissions, so that a stored answer goes only to who may still have it."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        key = request.headers.get(HEADER)
        if key is None or request.method != "POST" or getattr(view, "carries_passwords", False):
            return True  # of a request with a password, not even a digest is kept
        if not _KEY.fullmatch(key):
            raise ValidationError({HEADER: ["A key is 1 to 128 visible ASCII characters."]}, code="invalid")
        name = "idempotency:" + _digest(str(request.user.pk), request.path, key)
        claim = {"fingerprint": _fingerprint(request)}
        if cache.add(name, claim, RUNNING):
            request._request.idempotency = (name, claim)  # type: ignore[attr-defined]
            return True
        _answer_again(cache.get(name), claim)


def _answer_again(stored: dict[str, Any] | None, claim: dict[str, Any]) -> NoReturn:
    if stored is None:
        raise KeyInUse("A request with this Idempotency-Key has just ended without success. Send it again.")
    if stored["fingerprint"] != claim["fingerprint"]:
        raise KeyReused("This Idempotency-Key was used for another request. Use a new key for each request.")
    if "status" not in stored:
        raise KeyInUse("A request with this Idempotency-Key is still being worked on. Try again in a moment.")
    raise Answered(stored["status"], json.loads(stored["body"]), stored["location"])


def keep_answer(request: HttpRequest, response: HttpResponseBase) -> None:
    """Called by the middleware with what is sent; a success is kept under the key, anything else lets go of it."""
    taken: tuple[str, dict[str, Any]] | None = getattr(request, "idempotency", None)
    if taken is None:
        return
    name, claim = taken
    if 200 <= response.status_code < 300:
        body = getattr(response, "content", b"") or b"null"
        kept = {"status": response.status_code, "body": body, "location": response.get("Location")}
        cache.set(name, claim | kept, KEPT)
    else:
        cache.delete(name)


def _fingerprint(request: Request) -> str:
    """Of what was sent, files included, however its JSON was spaced."""
    sent = request.data
    if isinstance(sent, Mapping):
        sent = {name: _content(value) for name, value in sent.items()}
    return _digest(json.dumps(sent, sort_keys=True))


def _content(value: Any) -> Any:
    if not isinstance(value, UploadedFile):
        return value
    digest = hashlib.sha256()
    for chunk in value.chunks():
        digest.update(chunk)
    value.seek(0)
    return [value.name, digest.hexdigest()]


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

"""`Idempotency-Key`: a POST that is sent again, because its answer was lost, is answered again and not done again.

As in https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/. A key belongs to a person and an
address and is kept for a day, with the first answer, when that is

- a success: it was done, and is not done again;
- 500: nobody knows how far it came, so that doing it again could do it twice. Whoever has looked takes a new key.

Every other answer lets go of its key. What was refused (4xx) has done nothing and may be mended; when the broker or a
part of the hub was away (502, 503), the caller is told to send the same request again, which must then be tried.

Of the request only a digest is kept that nobody can guess back without SECRET_KEY (it may be about a password), and
the answer is encrypted (it may show a new secret, once).
"""

import hashlib
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import structlog
from cryptography.fernet import Fernet
from django.core.cache import cache
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import salted_hmac
from redis.exceptions import RedisError
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from brokerhub.kernel.errors import HubError

if TYPE_CHECKING:  # rest_framework.views itself imports the classes that the settings name
    from rest_framework.views import APIView

logger = structlog.get_logger(__name__)
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
        if key is None or request.method != "POST":
            return True
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
    raise Answered(stored["status"], json.loads(_cipher().decrypt(stored["body"])), stored["location"])


def keep_answer(request: HttpRequest, response: HttpResponseBase) -> None:
    """Called by the middleware with what is sent: kept under the key, or the key is let go of.

    When it cannot be kept, it is sent all the same: an error instead would make the caller try again what is done.
    """
    taken: tuple[str, dict[str, Any]] | None = getattr(request, "idempotency", None)
    if taken is None:
        return
    try:
        _keep(*taken, response)
    except RedisError as error:
        logger.warning("idempotency_answer_not_kept", status=response.status_code, error=type(error).__name__)


def _keep(name: str, claim: dict[str, Any], response: HttpResponseBase) -> None:
    if response.status_code == 500 or 200 <= response.status_code < 300:
        body = _cipher().encrypt(getattr(response, "content", b"") or b"null")
        kept = {"status": response.status_code, "body": body, "location": response.get("Location")}
        cache.set(name, claim | kept, KEPT)
    else:
        cache.delete(name)


def _fingerprint(request: Request) -> str:
    """Of what was sent, query and files included, however its JSON was spaced."""
    sent = request.data
    if isinstance(sent, Mapping):
        sent = {name: _content(value) for name, value in sent.items()}
    return salted_hmac(
        HEADER, json.dumps([request.META["QUERY_STRING"], sent], sort_keys=True), algorithm="sha256"
    ).hexdigest()


def _cipher() -> Fernet:
    return Fernet(urlsafe_b64encode(salted_hmac(HEADER, "answers", algorithm="sha256").digest()))


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

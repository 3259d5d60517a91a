"""`Idempotency-Key`: a POST that is sent again, because its answer was lost, is answered again and not done again.

As in https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/. A key belongs to a person and an
address and is kept for a day, with the first answer, when that is

- a success: it was done, and is not done again;
- 500, or none, because the hub was cut off: nobody knows how far it came, so that doing it again could do it twice.
  Whoever has looked takes a new key.

Every other answer lets go of its key. What was refused (4xx) has done nothing and may be mended; when the broker or a
part of the hub was away (502, 503), the caller is told to send the same request again, which must then be tried.

Keys are rows of PostgreSQL, as what they guard: Redis may lose all it has at any moment.
Of the request only a digest is kept that nobody can guess back without SECRET_KEY (it may be about a password), and
the answer is encrypted (it may show a new secret, once).
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.files.uploadedfile import UploadedFile
from django.db import DatabaseError, IntegrityError
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from brokerhub.kernel.errors import HubError
from brokerhub.kernel.idempotency_models import KeyedRequest

if TYPE_CHECKING:  # rest_framework.views itself imports the classes that the settings name
    from rest_framework.views import APIView

logger = structlog.get_logger(__name__)
HEADER = "Idempotency-Key"
KEPT = timedelta(days=1)
RUNNING = timedelta(minutes=2)  # longer than any request may take; what has no answer then was cut off
NONCE_BYTES = 12
BATCH = 10_000
_KEY = re.compile(r"[\x21-\x7e]{1,128}")


class KeyReused(HubError):
    status = 422
    code = "idempotency_key_reused"


class KeyInUse(HubError):
    status = 409
    code = "idempotency_key_in_use"


class OutcomeUnknown(HubError):
    status = 409
    code = "idempotency_outcome_unknown"


class Answered(Exception):
    """Not an error: the request was done before. `status`, `body` and `location` are the answer it had then."""

    def __init__(self, status: int, body: Any, location: str | None) -> None:
        super().__init__("This request has been answered before.")
        self.status, self.body, self.location = status, body, location


class OncePerKey(BasePermission):
    """Stands last among the permissions, so that a stored answer goes only to who may still have it."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        key, person_id = request.headers.get(HEADER), request.user.pk
        if key is None or request.method != "POST" or person_id is None:
            return True
        if not _KEY.fullmatch(key):
            raise ValidationError({HEADER: ["A key is 1 to 128 visible ASCII characters."]}, code="invalid")
        asked = KeyedRequest(
            name=_digest(str(person_id), request.path, key),
            user_id=person_id,
            fingerprint=_fingerprint(request),
        )
        before = _claim(asked, timezone.now())
        if before is not None:
            _answer_again(before, asked)
        request._request.keyed_request = asked  # type: ignore[attr-defined]
        return True


def _claim(asked: KeyedRequest, now: datetime) -> KeyedRequest | None:
    """Write the request down before anything is done; or what is known of the one that has the key already."""
    KeyedRequest.objects.over(now).filter(pk=asked.pk).delete()
    asked.begun_at, asked.expires_at = now, now + KEPT
    fresh = {name: getattr(asked, name) for name in ("user_id", "fingerprint", "begun_at", "expires_at")}
    try:
        row, is_ours = KeyedRequest.objects.get_or_create(pk=asked.pk, defaults=fresh)
    except IntegrityError as error:  # it was there, and is gone again
        raise KeyInUse("A request with this key has just ended without success. Send it again.") from error
    return None if is_ours else row


def _answer_again(before: KeyedRequest, asked: KeyedRequest) -> NoReturn:
    if before.fingerprint != asked.fingerprint:
        raise KeyReused("This Idempotency-Key was used for another request. Use a new key for each request.")
    if before.status is not None:
        raise Answered(before.status, json.loads(_opened(before)), before.location or None)
    if asked.begun_at - before.begun_at < RUNNING:
        raise KeyInUse("A request with this Idempotency-Key is still being worked on. Try again in a moment.")
    raise OutcomeUnknown(
        "The first request with this Idempotency-Key was cut off, and nobody knows how far it came. Look whether it "
        "was done, and take a new key to do it again."
    )


def keep_answer(request: HttpRequest, response: HttpResponseBase) -> None:
    """Called by the middleware with what is sent: kept under the key, or the key is let go of.

    When it cannot be kept, it is sent all the same: an error instead would make the caller try again what is done.
    """
    ours: KeyedRequest | None = getattr(request, "keyed_request", None)
    if ours is None:
        return
    try:
        _keep(ours, response)
    except DatabaseError as error:
        logger.warning("idempotency_answer_not_kept", status=response.status_code, error=type(error).__name__)


def _keep(ours: KeyedRequest, response: HttpResponseBase) -> None:
    row = KeyedRequest.objects.filter(pk=ours.pk, begun_at=ours.begun_at)  # never one that has come after it
    if response.status_code == 500 or 200 <= response.status_code < 300:
        answer = getattr(response, "content", b"") or b"null"
        location = response.get("Location", "")
        row.update(status=response.status_code, sealed_answer=_sealed(ours, answer), location=location)
    else:
        row.delete()


def remove_old(now: datetime | None = None) -> int:
    """Delete keys whose day is over; how many."""
    over, removed = KeyedRequest.objects.over(now or timezone.now()).order_by(), 0
    while batch := list(over.values_list("pk", flat=True)[:BATCH]):
        removed += KeyedRequest.objects.filter(pk__in=batch).delete()[0]
    return removed


def _fingerprint(request: Request) -> str:
    """Of what was sent, query and files included, however its JSON was spaced."""
    sent = request.data
    if isinstance(sent, Mapping):
        sent = {name: _content(value) for name, value in sent.items()}
    return salted_hmac(
        HEADER, json.dumps([request.META["QUERY_STRING"], sent], sort_keys=True), algorithm="sha256"
    ).hexdigest()


def _cipher() -> AESGCM:
    return AESGCM(salted_hmac(HEADER, "answers", algorithm="sha256").digest())


def _sealed(request: KeyedRequest, answer: bytes) -> bytes:
    """For this row alone: nonce and ciphertext."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + _cipher().encrypt(nonce, answer, request.pk.encode())


def _opened(request: KeyedRequest) -> bytes:
    """Raises OutcomeUnknown where SECRET_KEY is another one than it was."""
    sealed = bytes(request.sealed_answer)
    try:
        return _cipher().decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], request.pk.encode())
    except InvalidTag as error:
        raise OutcomeUnknown(
            "This request has been answered before, but the answer cannot be read any more. Look what became of it, "
            "and take a new key to do it again."
        ) from error


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

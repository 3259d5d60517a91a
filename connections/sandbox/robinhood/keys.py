"""Keys of the Crypto Trading API, and what a call signed with one must look like (Ed25519)."""

import base64
import binascii
import uuid
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LONGEST_SKEW = 30  # seconds a timestamp is good for, to either side
PUBLIC_KEY_BYTES = 32


class BadKey(Exception):
    """The text says what is wrong with a public key."""


class BadSignature(Exception):
    """The text says why a call is not let in."""


@dataclass(slots=True)
class Key:
    id: str
    login: str
    public_key: str  # base64 of the 32 raw bytes
    disabled: bool = False


class KeyRing:
    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}

    def forget(self) -> None:
        self._keys.clear()

    def register(self, login: str, public_key: str, api_key: str | None = None) -> Key:
        """`api_key` is chosen by tests of published vectors; otherwise it is a new one. Raises BadKey."""
        try:
            raw = base64.b64decode(public_key, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadKey("The public key is not base64.") from error
        if len(raw) != PUBLIC_KEY_BYTES:
            raise BadKey(f"An Ed25519 public key has {PUBLIC_KEY_BYTES} bytes; this has {len(raw)}.")
        key = Key(api_key or f"rh-api-{uuid.uuid4()}", login, public_key)
        self._keys[key.id] = key
        return key

    def of(self, login: str) -> list[Key]:
        return [key for key in self._keys.values() if key.login == login]

    def get(self, api_key: str) -> Key | None:
        return self._keys.get(api_key)

    def disable(self, login: str) -> int:
        """Disable the person's keys; return how many worked until now."""
        living = [key for key in self.of(login) if not key.disabled]
        for key in living:
            key.disabled = True
        return len(living)

    def verify(self, *, api_key: str, timestamp: str, signature: str, signed: str, now: datetime) -> Key:
        """`signed` is path with query, method and body. Raises BadSignature."""
        key = self._keys.get(api_key)
        if key is None or key.disabled:
            raise BadSignature("Invalid API key.")
        if not timestamp.isascii() or not timestamp.isdigit() or abs(now.timestamp() - int(timestamp)) > LONGEST_SKEW:
            raise BadSignature("Timestamp expired.")
        try:
            public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.public_key))
            public.verify(base64.b64decode(signature, validate=True), f"{api_key}{timestamp}{signed}".encode())
        except (InvalidSignature, binascii.Error, ValueError) as error:
            raise BadSignature("Invalid signature.") from error
        return key

"""Secrets at rest: AES-256-GCM, the key's id in front, the connection's id as associated data.

A sealed secret therefore opens in no other row, and a new key can be introduced while old rows still read.
Layout: one byte length of key id | key id | 12 bytes nonce | ciphertext with 16 bytes tag.
"""

import json
import secrets
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

NONCE_BYTES, TAG_BYTES = 12, 16


class CredentialsUnreadable(Exception):
    """The key is gone, or the bytes belong to another row or are no sealed secret at all.

    The text names the key id, never the content.
    """


def seal(values: dict[str, Any], *, owner: str) -> bytes:
    """Encrypt `values` (JSON-serialisable) for the row `owner` with the first of CREDENTIALS_KEYS."""
    key_id, key = next(iter(settings.CREDENTIALS_KEYS.items()))
    nonce = secrets.token_bytes(NONCE_BYTES)
    name = key_id.encode()
    return bytes([len(name)]) + name + nonce + AESGCM(key).encrypt(nonce, json.dumps(values).encode(), owner.encode())


def unseal(sealed: bytes, *, owner: str) -> dict[str, Any]:
    """The values sealed for `owner`. Raises CredentialsUnreadable."""
    key_id, nonce, ciphertext = _parts(sealed)
    key = settings.CREDENTIALS_KEYS.get(key_id)
    if key is None:
        raise CredentialsUnreadable(f"no key with id {key_id!r} in CREDENTIALS_KEYS")
    try:
        values: dict[str, Any] = json.loads(AESGCM(key).decrypt(nonce, ciphertext, owner.encode()))
    except InvalidTag as error:
        raise CredentialsUnreadable(f"key {key_id!r} does not open this secret") from error
    return values


def _parts(sealed: bytes) -> tuple[str, bytes, bytes]:
    """Key id, nonce and ciphertext. Raises CredentialsUnreadable for what is too short to have them."""
    name_end = 1 + (sealed[0] if sealed else 0)
    nonce_end = name_end + NONCE_BYTES
    if len(sealed) < nonce_end + TAG_BYTES:
        raise CredentialsUnreadable(f"{len(sealed)} bytes are too few for a sealed secret")
    return sealed[1:name_end].decode(errors="replace"), sealed[name_end:nonce_end], sealed[nonce_end:]


def rewrapped(sealed: bytes, *, owner: str) -> bytes | None:
    """The same secret under the first of CREDENTIALS_KEYS; None when it is already. Raises CredentialsUnreadable."""
    if _parts(sealed)[0] == next(iter(settings.CREDENTIALS_KEYS)):
        return None
    return seal(unseal(sealed, owner=owner), owner=owner)

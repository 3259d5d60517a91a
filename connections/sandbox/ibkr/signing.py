"""OAuth 1.0a as Interactive Brokers reads it: header, base string, signatures, the live session token's arithmetic.

Pure: no clock, no memory, no request. The base string's values go in raw and the joined list is encoded once.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote_plus, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

PAIR = re.compile(r'\s*([A-Za-z_]+)\s*=\s*"([^"]*)"\s*(?:,|$)')
NOT_SIGNED = ("realm", "oauth_signature")
Pairs = Iterable[tuple[str, str]]


class Malformed(Exception):
    """The Authorization header is none of OAuth's."""


def parameters(header: str) -> dict[str, str]:
    """The header's parameters with their values decoded, `realm` among them. Raises Malformed."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "oauth":
        raise Malformed("no OAuth header")
    found: dict[str, str] = {}
    place = 0
    while place < len(rest):
        pair = PAIR.match(rest, place)
        if pair is None or pair.group(1) in found:
            raise Malformed("the OAuth header cannot be read")
        found[pair.group(1)] = unquote(pair.group(2))
        place = pair.end()
    return found


def base_string(method: str, url: str, pairs: Pairs, *, prepend: str = "") -> str:
    """`prepend` is the decrypted token secret in hex, for the live session token only; nothing separates it."""
    joined = "&".join(sorted(f"{name}={value}" for name, value in pairs))
    return f"{prepend}{method}&{quote_plus(url)}&{quote_plus(joined)}"


def candidates(
    method: str, url: str, signed: Mapping[str, str], body: Pairs, query: Pairs, raw_query: str, *, strict: bool
) -> Iterator[str]:
    """The base strings taken for one call: the documented one with the query's values in the list, and unless
    `strict` the two that clients in the field send (no query at all; the query left in the address).
    """
    plain = [(name, value) for name, value in signed.items() if name not in NOT_SIGNED] + list(body)
    yield base_string(method, url, [*plain, *query])
    if raw_query and not strict:
        yield base_string(method, url, plain)
        yield base_string(method, f"{url}?{raw_query}", plain)


def is_signed_by(key: rsa.RSAPublicKey, signature: str, text: str) -> bool:
    """RSA-SHA256 with PKCS #1 v1.5 padding; the signature in base64."""
    try:
        key.verify(base64.b64decode(signature, validate=True), text.encode(), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def mac(live_session_token: bytes, text: str) -> str:
    """The HMAC-SHA256 signature of a protected call, in base64."""
    return base64.b64encode(hmac.digest(live_session_token, text.encode(), "sha256")).decode()


def is_signed_with(live_session_token: bytes, signature: str, text: str) -> bool:
    return hmac.compare_digest(mac(live_session_token, text).encode(), signature.encode())


def shared_key_bytes(shared: int) -> bytes:
    """Two's complement, big end first, as Java writes it: a 00 goes ahead whenever the top bit would be a sign."""
    return shared.to_bytes(shared.bit_length() // 8 + 1, "big")


def live_session_token(shared: int, secret: bytes) -> bytes:
    """20 bytes: HMAC-SHA1 of the token secret under the key that Diffie and Hellman agreed on."""
    return hmac.digest(shared_key_bytes(shared), secret, "sha1")


def token_signature(token: bytes, consumer_key: str) -> str:
    """40 hex digits by which the client knows that both sides have the same token."""
    return hmac.new(token, consumer_key.encode(), hashlib.sha1).hexdigest()

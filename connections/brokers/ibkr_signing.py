"""OAuth 1.0a as Interactive Brokers wants it: header, base string, signatures, the live session token. Pure.

Two things differ from RFC 5849: the parameters go into the base string raw and their joined list is encoded once, and
protected calls are signed by the 20 bytes of a live session token that both sides work out by Diffie-Hellman. For the
first, oauthlib encodes twice; for the second it drops `diffie_hellman_challenge` from the header, has no place for the
prepended secret, and takes text for a key. So this is written out here; for plain parameters it equals oauthlib's.

Facts: IBKR's guide "OAuth 1.0a Extended", and what its public clients send.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote_plus, urlsplit, urlunsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

Pairs = Iterable[tuple[str, str]]

PRIVATE_BITS = 256  # of the Diffie-Hellman secret, made anew for each session
LEAST_PADDING = 8  # bytes that are not zero, RFC 8017 section 7.2.1


def base_string(method: str, url: str, oauth: Mapping[str, str], *, prepend: str = "") -> str:
    """What is signed. A query in `url` takes part as parameters; `prepend` stands in front without a separator."""
    parts = urlsplit(url)
    pairs = [*oauth.items(), *parse_qsl(parts.query, keep_blank_values=True)]
    joined = "&".join(sorted(f"{name}={value}" for name, value in pairs))
    bare = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    return f"{prepend}{method.upper()}&{quote_plus(bare)}&{quote_plus(joined)}"


def header(realm: str, oauth: Mapping[str, str], signature: str) -> str:
    """The Authorization header: realm first, then the names in order. Only a signature has anything to be encoded."""
    told = sorted([*oauth.items(), ("oauth_signature", quote_plus(signature))])
    return f'OAuth realm="{realm}", ' + ", ".join(f'{name}="{value}"' for name, value in told)


def oauth_parameters(consumer_key: str, method: str, *, at: float, nonce: str = "", **more: str) -> dict[str, str]:
    """`method` is RSA-SHA256 or HMAC-SHA256; `at` in seconds since 1970; `more` goes in as it is."""
    return {
        "oauth_consumer_key": consumer_key,
        "oauth_nonce": nonce or secrets.token_hex(16),
        "oauth_signature_method": method,
        "oauth_timestamp": str(int(at)),
        **more,
    }


def rsa_sha256(key: rsa.RSAPrivateKey, text: str) -> str:
    """PKCS #1 v1.5, in base64."""
    return base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()


def hmac_sha256(live_session_token: bytes, text: str) -> str:
    return base64.b64encode(hmac.digest(live_session_token, text.encode(), "sha256")).decode()


# --- The live session token -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Agreement:
    """Our half of one Diffie-Hellman key agreement. `private` is made anew each time and kept nowhere."""

    prime: int
    generator: int
    private: int

    @classmethod
    def begin(cls, prime: int, generator: int) -> "Agreement":
        return cls(prime, generator, secrets.randbits(PRIVATE_BITS) | 1 << (PRIVATE_BITS - 1))

    def __repr__(self) -> str:
        return "Agreement()"

    @property
    def challenge(self) -> str:
        """What the other side gets, in hex."""
        return f"{pow(self.generator, self.private, self.prime):x}"

    def shared(self, response: str) -> int:
        """The number both sides know now, from what the other side sent in hex. Raises ValueError."""
        number = int(response, 16)
        if not 1 < number < self.prime - 1:  # else the result could be foretold
            raise ValueError("a Diffie-Hellman response out of range")
        return pow(number, self.private, self.prime)


def two_complement(number: int) -> bytes:
    """Big end first, as Java's BigInteger.toByteArray: a 00 goes ahead whenever the top bit would be a sign."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def live_session_token(shared: int, secret: bytes) -> bytes:
    """20 bytes. `secret` is the decrypted secret of the access token."""
    return hmac.digest(two_complement(shared), secret, "sha1")


def is_shared_by_both(token: bytes, consumer_key: str, signature: str) -> bool:
    """Whether the other side has worked out the same live session token: it sent this signature, in hex."""
    own = hmac.new(token, consumer_key.encode(), hashlib.sha1).hexdigest()
    return hmac.compare_digest(own.encode(), signature.strip().lower().encode())


def decrypted(key: rsa.RSAPrivateKey, sealed: str) -> bytes:
    """The secret of an access token, from its base64 (PKCS #1 v1.5). Raises ValueError when it was not for this key.

    The padding is taken off here, because OpenSSL answers a wrong key with random bytes instead of an error. That
    guards servers who decrypt for strangers; here a person has to learn which of their keys is the wrong one.
    """
    cipher = base64.b64decode("".join(sealed.split()), validate=True)
    numbers, size = key.private_numbers(), key.key_size // 8
    number = int.from_bytes(cipher, "big")
    if len(cipher) != size or number >= numbers.public_numbers.n:
        raise ValueError("a secret of another length than the key")
    plain = pow(number, numbers.d, numbers.public_numbers.n).to_bytes(size, "big")
    filling, end, secret = plain[2:].partition(b"\x00")
    if plain[:2] != b"\x00\x02" or len(filling) < LEAST_PADDING or not end:
        raise ValueError("a secret that was not for this key")
    return secret

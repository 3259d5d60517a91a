"""The key files of a consumer at Interactive Brokers: read, and each wrong one told from the others. Pure.

A consumer is who may call: a key of nine letters, two RSA keys whose public halves are registered, and the parameters
of a Diffie-Hellman key agreement. What a person pastes is checked here before the broker sees anything of it.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.views.decorators.debug import sensitive_variables

from connections.brokers import ibkr_signing
from connections.brokers.base import KeysRefused

STANDARD_REALM, TEST_REALM = "limited_poa", "test_realm"
TEST_CONSUMER = "TESTCONS"  # the broker's public one
KEY_BITS = 2048
GENERATOR = 2  # what `openssl dhparam 2048` takes
PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
HEX = re.compile(r"(0x)?[0-9a-fA-F:\s]{64,}")
WITNESS = 3  # a composite number that passes Fermat's test with it is not a slip of the mouse


@asn1.sequence
class _DHParameters:
    """PKCS #3 section 9. `cryptography` is giving up its own reader of these files."""

    prime: int
    generator: int
    private_bits: int | None


@dataclass(frozen=True, slots=True)
class Consumer:
    key: str
    realm: str
    signing: rsa.RSAPrivateKey = field(repr=False)
    encryption: rsa.RSAPrivateKey = field(repr=False)
    prime: int = field(repr=False)
    generator: int = GENERATOR

    @classmethod
    @sensitive_variables()
    def of(cls, values: Mapping[str, str], *, dh: str) -> "Consumer":
        """From consumer_key, signing_key, encryption_key and the parameters named `dh`. Raises KeysRefused."""
        key = consumer_key(values.get("consumer_key", ""))
        prime, generator = dh_parameters(values.get(dh, ""), dh)
        standard = TEST_REALM if key == TEST_CONSUMER else STANDARD_REALM
        return cls(
            key=key,
            realm=values.get("realm") or standard,
            signing=private_key(values.get("signing_key", ""), "signing_key"),
            encryption=private_key(values.get("encryption_key", ""), "encryption_key"),
            prime=prime,
            generator=generator,
        )

    @sensitive_variables()
    def secret_of(self, sealed: str) -> bytes:
        """What an access token's secret says. Raises KeysRefused, naming what seems to be wrong."""
        try:
            return ibkr_signing.decrypted(self.encryption, sealed)
        except ValueError as error:
            if _opens(self.signing, sealed):
                raise KeysRefused(
                    "The signing key and the encryption key have changed places.", field="encryption_key"
                ) from error
            raise KeysRefused(
                "This token secret does not open with your encryption key. Copy the secret once more, as a whole, and "
                "see that the encryption key is the private half of the one you uploaded there.",
                field="access_token_secret",
            ) from error


@sensitive_variables()
def _opens(key: rsa.RSAPrivateKey, sealed: str) -> bool:
    try:
        ibkr_signing.decrypted(key, sealed)
    except ValueError:
        return False
    return True


def consumer_key(text: str) -> str:
    """Raises KeysRefused. A key of letters only is a self-service one, which the broker writes in capitals."""
    key = text.strip()
    if not (key.isascii() and key.isalnum() and len(key) <= 64):
        raise KeysRefused("A consumer key consists of letters and digits only.", field="consumer_key")
    return key.upper() if key.isalpha() else key


@sensitive_variables()
def private_key(text: str, name: str) -> rsa.RSAPrivateKey:
    """Raises KeysRefused for `name` when it is anything but a private RSA key of at least 2048 bits."""
    kind, pem = _block(text, name)
    if "PUBLIC" in kind:
        raise KeysRefused(
            "This is the public key, which you upload. The hub needs the private one, from the file you kept.",
            field=name,
        )
    if "PARAMETERS" in kind:
        raise KeysRefused("These are the Diffie-Hellman parameters, not a key.", field=name)
    if "PRIVATE KEY" not in kind:
        raise KeysRefused(f"This is a {kind.lower()}, not a private key.", field=name)
    if "ENCRYPTED" in kind or "ENCRYPTED" in text:
        raise KeysRefused(
            "This key file is locked with a password. Write it out without one (openssl rsa) and paste that.",
            field=name,
        )
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeysRefused("This key file is damaged. Copy it once more, from BEGIN to END.", field=name) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeysRefused("This is no RSA key, and Interactive Brokers takes RSA keys only.", field=name)
    if key.key_size < KEY_BITS:
        raise KeysRefused(f"This key has {key.key_size} bits. It needs {KEY_BITS}.", field=name)
    return key


@lru_cache(maxsize=64)
def dh_parameters(text: str, name: str) -> tuple[int, int]:
    """(prime, generator) of a file made by `openssl dhparam 2048`, or of the prime in hex. Raises KeysRefused."""
    if HEX.fullmatch(text.strip()):
        prime, generator = int(re.sub(r"[:\s]", "", text), 16), GENERATOR
    else:
        prime, generator = _dh_of_file(text, name)
    if prime.bit_length() < KEY_BITS:
        raise KeysRefused(f"These parameters have {prime.bit_length()} bits. They need {KEY_BITS}.", field=name)
    if not (_is_prime(prime) and _is_prime(prime // 2)):
        raise KeysRefused(
            "The number in these parameters is not a prime for a key agreement. Copy the whole file once more.",
            field=name,
        )
    return prime, generator


def _dh_of_file(text: str, name: str) -> tuple[int, int]:
    kind, pem = _block(text, name)
    if kind != "DH PARAMETERS":
        raise KeysRefused(
            "This is no file of Diffie-Hellman parameters. It begins with BEGIN DH PARAMETERS.", field=name
        )
    try:
        found = asn1.decode_der(_DHParameters, base64.b64decode(b"".join(pem.splitlines()[1:-1]), validate=True))
    except ValueError as error:
        raise KeysRefused("This file is damaged. Copy it once more, from BEGIN to END.", field=name) from error
    return found.prime, found.generator


def _is_prime(number: int) -> bool:
    return number % 2 == 1 and pow(WITNESS, number - 1, number) == 1


@sensitive_variables()
def _block(text: str, name: str) -> tuple[str, bytes]:
    """(what it says it is, the text in PEM). Lines may have been lost in a form or in an environment variable."""
    found = PEM.search(text.replace("\\n", "\n"))
    if found is None:
        sentence = "Paste the whole text of the file, from -----BEGIN to the last dash of -----END."
        raise KeysRefused(sentence, field=name)
    kind, body = found.group(1), found.group(2)
    if ":" not in body:  # else it has headers, whose lines have a meaning
        body = "\n" + "\n".join(re.findall(".{1,64}", "".join(body.split()))) + "\n"
    return kind, f"-----BEGIN {kind}-----{body}-----END {kind}-----\n".encode()

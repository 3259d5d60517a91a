"""Who may call: the consumers registered at the sandbox's Interactive Brokers, with the keys they registered.

Key pairs are made anew in each process (or kept in the folder SANDBOX_IBKR_KEYS names) and told by the control API:
they open nothing but this sandbox. The prime is the public 2048-bit MODP group of RFC 3526.
"""

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY_BITS = 2048
GENERATOR = 2
PRIME = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B"
    "302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE6"
    "49286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D"
    "670C354E4ABC9804F1746C08CA18217C32905E462E36CE3BE39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718"
    "3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF",
    16,
)
THIRD_PARTY, TEST_CONSUMER, SELF_SERVICE = "SANDBOXAA", "TESTCONS", "MARIAKEYS"
STANDARD_REALM, TEST_REALM = "limited_poa", "test_realm"
STANDARD_CALLBACKS = "http://127.0.0.1:8000/connections/callback/ibkr"


def standard_callbacks() -> list[str]:
    listed = os.environ.get("SANDBOX_IBKR_CALLBACKS") or STANDARD_CALLBACKS
    return [callback.strip() for callback in listed.split(",") if callback.strip()]


@dataclass
class KeyPair:
    """One RSA key of a consumer; made when it is first asked for."""

    name: str

    @cached_property
    def private(self) -> rsa.RSAPrivateKey:
        folder = os.environ.get("SANDBOX_IBKR_KEYS")
        path = Path(folder) / f"{self.name}.pem" if folder else None
        if path and path.exists():
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
            assert isinstance(key, rsa.RSAPrivateKey)
            return key
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        if path:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(private_pem(key))
        return key

    @property
    def public(self) -> rsa.RSAPublicKey:
        return self.private.public_key()


@dataclass(frozen=True)
class OwnKey:
    """The public half of a key that somebody else made."""

    public: rsa.RSAPublicKey


@dataclass
class Consumer:
    """`login` is whose self-service keys they are; None: a third party, or the public test consumer."""

    key: str
    signing: KeyPair | OwnKey = field(repr=False)
    encryption: KeyPair | OwnKey = field(repr=False)
    login: str | None = None
    prime: int = field(default=PRIME, repr=False)
    generator: int = GENERATOR

    @property
    def realm(self) -> str:
        return TEST_REALM if self.key == TEST_CONSUMER else STANDARD_REALM

    @property
    def is_first_party(self) -> bool:
        return self.login is not None


def standard_consumers() -> dict[str, Consumer]:
    owners = {THIRD_PARTY: None, TEST_CONSUMER: None, SELF_SERVICE: "maria"}
    return {
        key: Consumer(key, KeyPair(f"{key}_signing"), KeyPair(f"{key}_encryption"), login)
        for key, login in owners.items()
    }


def lay_out_keys() -> None:
    """Write the third party's keys and prime into the folder SANDBOX_IBKR_KEYS, if any, for a hub that reads them."""
    folder = os.environ.get("SANDBOX_IBKR_KEYS")
    if not folder:
        return
    for name in (f"{THIRD_PARTY}_signing", f"{THIRD_PARTY}_encryption"):
        _ = KeyPair(name).private
    (Path(folder) / f"{THIRD_PARTY}_dhprime.txt").write_text(f"{PRIME:x}\n")


def public_key(pem: str) -> OwnKey:
    """Raises ValueError for what is no RSA public key of 2048 bits or more."""
    key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < KEY_BITS:
        raise ValueError(f"a public RSA key of at least {KEY_BITS} bits is needed")
    return OwnKey(key)


def private_pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()

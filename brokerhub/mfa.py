"""Second factors at rest: sealed with the same keys as brokers' credentials, which allauth leaves to its adapter."""

from base64 import b64decode, b64encode

from allauth.mfa.adapter import DefaultMFAAdapter

from connections.credentials import seal, unseal

OWNER = "second-factor"


class SealedMFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no type hints
    """Raises CredentialsUnreadable where a secret was sealed with a key that is gone."""

    def encrypt(self, text: str) -> str:
        return b64encode(seal({"secret": text}, owner=OWNER)).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return str(unseal(b64decode(encrypted_text), owner=OWNER)["secret"])

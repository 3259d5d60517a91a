"""Second factors at rest: sealed with the same keys as brokers' credentials, which allauth leaves to its adapter."""

from base64 import b64decode, b64encode

import structlog
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator

from connections.credentials import CredentialsUnreadable, rewrapped, seal, unseal
from connections.rotation import Rotation

log = structlog.get_logger(__name__)

OWNER = "second-factor"


class SealedMFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no type hints
    """Raises CredentialsUnreadable where a secret was sealed with a key that is gone."""

    def encrypt(self, text: str) -> str:
        return b64encode(seal({"secret": text}, owner=OWNER)).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return str(unseal(b64decode(encrypted_text), owner=OWNER)["secret"])


SEALED = {"totp": "secret", "recovery_codes": "seed"}  # the key in each kind's data that the adapter encrypts


def rotate_factors() -> Rotation:
    """Put every second factor under the first of CREDENTIALS_KEYS, as `rotate_all` does for other secrets."""
    result = Rotation()
    for factor in Authenticator.objects.filter(type__in=SEALED).iterator():
        name = SEALED[factor.type]
        old = factor.data.get(name, "")
        try:
            new = rewrapped(b64decode(old), owner=OWNER) if old else None
        except CredentialsUnreadable as error:
            log.error("second_factor_unreadable", factor_id=factor.pk, why=str(error))
            result.unreadable += 1
            continue
        if new is None:
            result.current += 1
        else:
            data = factor.data | {name: b64encode(new).decode()}
            Authenticator.objects.filter(pk=factor.pk, data=factor.data).update(data=data)
            result.moved += 1
    return result

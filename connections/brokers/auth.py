"""What several ways of signing in share."""

import hashlib
import secrets
from base64 import urlsafe_b64encode


def pkce() -> tuple[str, str]:
    """(verifier, S256 challenge) by RFC 7636 section 4."""
    verifier = secrets.token_urlsafe(48)
    return verifier, urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()

"""Who made a backup: its manifest is signed with one of CREDENTIALS_KEYS, as restoring runs whatever stands in it."""

import hashlib
import hmac
import json
from typing import Any

from django.conf import settings

from brokerhub.backup.programs import BackupError

PURPOSE = b"broker integration hub: seal of a backup"


def _signature(key: bytes, manifest: bytes) -> str:
    own = hmac.digest(key, PURPOSE, hashlib.sha256)  # the key itself encrypts, and does nothing else
    return hmac.new(own, manifest, hashlib.sha256).hexdigest()


def sealed(manifest: bytes) -> bytes:
    key_id, key = next(iter(settings.CREDENTIALS_KEYS.items()))
    return json.dumps({"key": key_id, "hmac_sha256": _signature(key, manifest)}).encode()


def check(manifest: bytes, seal: bytes) -> bool:
    """Whether the key it was sealed with is here, and it is unchanged then. Raises BackupError where it was changed."""
    try:
        said: dict[str, Any] = json.loads(seal)
        key_id, signature = str(said["key"]), str(said["hmac_sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError("This backup has no seal that can be read; it was changed.") from error
    key = settings.CREDENTIALS_KEYS.get(key_id)
    if key is None:
        return False
    if not hmac.compare_digest(_signature(key, manifest).encode(), signature.encode()):
        raise BackupError("This backup's manifest was changed after it was made. Do not use it.")
    return True

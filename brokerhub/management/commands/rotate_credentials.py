"""`manage.py rotate_credentials`: every stored secret under the first of CREDENTIALS_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from brokerhub import mfa
from connections.rotation import rotate_all


class Command(BaseCommand):
    help = (
        "Put a new key first in CREDENTIALS_KEYS, restart the hub, run this; then the old key can be taken out. "
        "All stored secrets are moved; reading and renewing go on meanwhile."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        rotations = rotate_all() | {"Second factors": mfa.rotate_factors()}
        for name, done in rotations.items():
            self.stdout.write(
                f"{name}: {done.moved} moved, {done.current} already there, {done.unreadable} unreadable."
            )
        if any(done.unreadable for done in rotations.values()):
            raise CommandError("Some secrets can be read with none of the keys. Keep the old keys and look at the log.")

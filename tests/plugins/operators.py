"""Members of staff have a second factor, without which they could not open the administration."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from brokerhub.kernel.models import User


TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def give_second_factor(user: "User", secret: str = TOTP_SECRET) -> None:
    from allauth.mfa.totp.internal.auth import TOTP
    from allauth.mfa.utils import is_mfa_enabled

    if not is_mfa_enabled(user):
        TOTP.activate(user, secret)


@pytest.fixture(autouse=True)
def staff_have_second_factors() -> Iterator[None]:
    """As soon as somebody is saved as staff. Tests of the rule itself take it away again."""
    from django.db.models.signals import post_save

    from brokerhub.kernel.models import User

    def see_to(instance: User, update_fields: frozenset[str] | None, **kwargs: Any) -> None:
        if instance.is_staff and "is_staff" in (update_fields or {"is_staff"}):
            give_second_factor(instance)

    post_save.connect(see_to, sender=User)
    yield
    post_save.disconnect(see_to, sender=User)

"""The second factor's secret is not readable in the database."""

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret


@pytest.mark.django_db
def test_a_second_factor_is_sealed_at_rest_and_still_works(caller):
    secret = generate_totp_secret()
    TOTP.activate(caller, secret)
    stored = Authenticator.objects.get(user=caller)
    assert secret not in str(stored.data)
    assert get_adapter().decrypt(stored.data["secret"]) == secret

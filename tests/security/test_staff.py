"""The administration opens for staff with a second factor, by one door only."""

import re
from urllib.parse import urlsplit

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.contrib import admin
from django.core import mail
from django.test import Client
from django.urls import reverse

from brokerhub.kernel.models import User
from tests.plugins.operators import give_second_factor

LOGIN = "/accounts/login/"
PASSWORD = "correct horse battery"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def staff(db: None) -> User:
    user = User.objects.create_superuser("staff@example.com", PASSWORD)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


@pytest.fixture
def without_factor(staff: User) -> User:
    Authenticator.objects.filter(user=staff).delete()
    return staff


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def code() -> str:
    return str(format_hotp_value(hotp_value(SECRET, next(yield_hotp_counters_from_time()))))


def admin_addresses() -> list[str]:
    changelists = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") for model in admin.site._registry
    ]
    return ["/admin/", "/admin/login/", "/admin/kernel/user/1/change/", *changelists]


def test_staff_without_a_second_factor_are_led_to_set_one_up(without_factor):
    client = signed_in(without_factor)
    page = client.get("/admin/", follow=True)
    way = [urlsplit(hop).path for hop, _ in page.redirect_chain]
    assert "/accounts/2fa/totp/activate/" in way
    assert "Site administration" not in page.content.decode()
    assert "Administration needs two-factor sign-in" in page.content.decode()
    for address in admin_addresses():
        answer = client.get(address)
        assert urlsplit(answer["Location"]).path in way, address


def test_a_password_alone_does_not_sign_staff_in(staff):
    client = Client()
    answer = client.post(LOGIN, {"login": staff.email, "password": PASSWORD})
    assert answer["Location"] == "/accounts/2fa/authenticate/"
    assert client.get("/admin/", follow=True).redirect_chain[-1][0] == "/accounts/2fa/authenticate/"
    assert client.post("/accounts/2fa/authenticate/", {"code": code()}).status_code == 302
    assert client.get("/admin/").status_code == 200


def test_setting_up_a_second_factor_ends_the_sign_ins_that_had_none(transactional_db, without_factor):
    here, elsewhere = Client(), Client()
    for client in (here, elsewhere):
        client.post(LOGIN, {"login": without_factor.email, "password": PASSWORD})
        assert client.get("/settings/").status_code == 200
    here.post("/accounts/reauthenticate/", {"password": PASSWORD})
    secret = here.get("/accounts/2fa/totp/activate/").context["form"].secret
    value = format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time())))
    assert here.post("/accounts/2fa/totp/activate/", {"code": value}).status_code == 302
    assert here.get("/admin/").status_code == 200
    assert elsewhere.get("/settings/").status_code == 302


def test_djangos_own_sign_in_form_lets_nobody_in(staff):
    """It would ask for no second factor, and staff could take each other's place with a password alone."""
    other = User.objects.create_superuser("other@example.com", PASSWORD)
    client = signed_in(staff)
    client.post("/admin/login/", {"username": other.email, "password": PASSWORD})
    assert client.get("/settings/").context["user"] == staff
    assert client.get("/admin/password_change/")["Location"] == "/accounts/password/change/"
    assert (
        client.post("/admin/password_change/", {"old_password": PASSWORD})["Location"] == "/accounts/password/change/"
    )


def test_people_who_are_no_staff_are_refused_with_a_factor_too(caller):
    give_second_factor(caller)
    assert signed_in(caller).get("/admin/", follow=True).status_code == 403


def test_a_code_of_the_app_is_good_once(staff):
    value = code()
    factor = Authenticator.objects.get(user=staff).wrap()
    assert factor.validate_code(value)
    assert not factor.validate_code(value)


def test_recovery_codes_are_shown_once_and_each_is_good_once(caller):
    give_second_factor(caller)
    client = Client()
    client.force_login(caller)
    client.post("/accounts/2fa/reauthenticate/", {"code": code()})
    factor = RecoveryCodes.activate(caller)
    first, second, *_ = factor.generate_codes()
    shown = client.get("/accounts/2fa/recovery-codes/").content.decode()
    assert first in shown
    again = client.get("/accounts/2fa/recovery-codes/").content.decode()
    assert first not in again
    assert second not in again
    assert client.get("/accounts/2fa/recovery-codes/download/").status_code == 403
    stored = Authenticator.objects.get(user=caller, type="recovery_codes")
    assert first not in str(stored.data)
    assert stored.wrap().validate_code(first)
    assert not Authenticator.objects.get(pk=stored.pk).wrap().validate_code(first)


def test_a_new_password_by_mail_still_needs_the_second_factor(staff):
    client = Client()
    client.post("/accounts/password/reset/", {"email": staff.email})
    [link] = re.findall(r"http://testserver(/accounts/password/reset/key/\S+)", str(mail.outbox[0].body))
    form = client.get(link, follow=True).redirect_chain[-1][0]
    client.post(form, {"password1": "three green umbrellas", "password2": "three green umbrellas"})
    assert client.get("/settings/").status_code == 302
    answer = client.post(LOGIN, {"login": staff.email, "password": "three green umbrellas"})
    assert answer["Location"] == "/accounts/2fa/authenticate/"
    assert "password1" not in client.get(link, follow=True).content.decode(), "a link is good once"


def test_guessing_codes_is_stopped(staff):
    client = Client()
    client.post(LOGIN, {"login": staff.email, "password": PASSWORD})
    for _ in range(5):
        client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    answer = client.post("/accounts/2fa/authenticate/", {"code": code()})
    assert "Too many failed login attempts" in answer.content.decode()

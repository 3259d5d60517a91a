"""Signing in, out and with two factors, through allauth's views and our pages."""

import re
from collections.abc import Callable

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.core import mail
from django.test import Client

from brokerhub.kernel.models import User

SignUp = Callable[[User], Client]
PASSWORD = "correct horse battery"


@pytest.fixture
def confirmed(person: User) -> User:
    EmailAddress.objects.create(user=person, email=person.email, verified=True, primary=True)
    return person


def sign_in(client: Client, email: str = "ada@example.com", password: str = PASSWORD) -> str:
    answer = client.post("/accounts/login/", {"login": email, "password": password}, follow=True)
    return answer.content.decode()


def code_for(secret: str) -> str:
    code: str = format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time())))
    return code


def test_signing_in_leads_to_the_overview_without_further_words(client: Client, person: User) -> None:
    page = sign_in(client)
    assert "Welcome, Ada" in page
    assert "Successfully signed in" not in page


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com"])
def test_a_wrong_password_and_an_unknown_address_look_the_same(client: Client, person: User, email: str) -> None:
    page = sign_in(client, email, "wrong")
    assert 'role="alert"' in page
    assert "The email address and/or password you specified are not correct." in page


@pytest.mark.django_db
def test_a_new_person_signs_up_and_finds_the_first_step(client: Client) -> None:
    fields = {"email": "Grace@example.com", "password1": PASSWORD, "password2": PASSWORD}
    page = client.post("/accounts/signup/", fields, follow=True).content.decode()
    assert User.objects.get().email == "grace@example.com"
    assert "Connect a broker" in page


@pytest.mark.django_db
def test_a_weak_password_is_explained_beside_its_field(client: Client) -> None:
    fields = {"email": "grace@example.com", "password1": "12345678", "password2": "12345678"}
    page = client.post("/accounts/signup/", fields).content.decode()
    assert 'id="id_password1_error"' in page
    assert 'aria-invalid="true"' in page
    assert not User.objects.exists()


def test_a_forgotten_password_is_set_anew_by_mail(client: Client, confirmed: User) -> None:
    client.post("/accounts/password/reset/", {"email": confirmed.email})
    link = re.search(r"http://testserver(/accounts/password/reset/key/\S+)", str(mail.outbox[0].body))
    assert link is not None
    form = client.get(link[1], follow=True)
    assert "entrance__card" in form.content.decode()
    new = {"password1": "another good horse", "password2": "another good horse"}
    client.post(form.redirect_chain[-1][0], new)
    assert "Welcome, Ada" in sign_in(client, password="another good horse")


def test_two_factor_sign_in_from_the_picture_to_the_recovery_codes(client: Client, confirmed: User) -> None:
    sign_in(client)
    asked_again = client.get("/accounts/2fa/totp/activate/", follow=True)
    assert "Confirm that it is you" in asked_again.content.decode()
    page = client.post(asked_again.redirect_chain[-1][0], {"password": PASSWORD}, follow=True).content.decode()
    assert 'src="data:image/svg+xml' in page
    secret = re.search(r'id="authenticator_secret"\s+type="text"\s+value="(\w+)"', page)
    assert secret is not None
    answer = client.post("/accounts/2fa/totp/activate/", {"code": code_for(secret[1])}, follow=True)
    codes = answer.content.decode()
    assert len(re.findall(r"<li>\w{8}</li>", codes)) == 10
    assert "They are shown this once" in codes

    client.post("/accounts/logout/")
    assert "Two-Factor Authentication" in sign_in(client)
    assert client.get("/settings/").status_code == 302, "the password alone is not enough"
    recovery = re.findall(r"<li>(\w{8})</li>", codes)[0]
    page = client.post("/accounts/2fa/authenticate/", {"code": recovery}, follow=True).content.decode()
    assert "Welcome, Ada" in page
    asked_again = client.get("/accounts/2fa/recovery-codes/", follow=True)
    codes = client.post(asked_again.redirect_chain[-1][0], {"password": PASSWORD}, follow=True).content.decode()
    assert "9 of 10 codes are unused" in codes
    assert "They were shown when they were made" in codes
    assert not re.search(r"<li>\w{8}</li>", codes)


def test_another_device_can_be_signed_out(client: Client, person: User) -> None:
    other = Client(headers={"user-agent": "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0"})
    sign_in(other)
    sign_in(client)
    page = client.get("/accounts/sessions/").content.decode()
    assert "Firefox on Windows" in page
    assert "This one" in page
    client.post("/accounts/sessions/")
    assert other.get("/settings/").status_code == 302
    assert client.get("/settings/").status_code == 200


def test_an_address_is_changed_only_after_it_is_confirmed(client: Client, confirmed: User) -> None:
    sign_in(client)
    page = client.post("/accounts/email/", {"action_add": "", "email": "ada@new.example"}, follow=True)
    assert "Open the link in that message" in page.content.decode()
    confirmed.refresh_from_db()
    assert confirmed.email == "ada@example.com"
    link = re.search(r"http://testserver(/accounts/confirm-email/\S+)", str(mail.outbox[-1].body))
    assert link is not None
    client.post(link[1])
    confirmed.refresh_from_db()
    assert confirmed.email == "ada@new.example"


def test_signing_out_asks_when_it_comes_by_a_link(client: Client, person: User) -> None:
    sign_in(client)
    assert "You will be signed out on this device" in client.get("/accounts/logout/").content.decode()
    assert client.get("/settings/").status_code == 200
    client.post("/accounts/logout/")
    assert client.get("/settings/").status_code == 302


def test_a_secret_is_never_shown_again_once_two_factors_are_on(client: Client, confirmed: User) -> None:
    sign_in(client)
    secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    Authenticator.objects.create(
        user=confirmed, type=Authenticator.Type.TOTP, data={"secret": get_adapter().encrypt(secret)}
    )
    assert secret not in client.get("/accounts/2fa/", follow=True).content.decode()


@pytest.mark.django_db
def test_a_mail_server_that_is_away_stops_nobody(client: Client, settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1  # where nothing listens
    fields = {"email": "grace@example.com", "password1": PASSWORD, "password2": PASSWORD}
    page = client.post("/accounts/signup/", fields, follow=True)
    assert page.status_code == 200
    assert "We could not send mail just now" in page.content.decode()
    assert User.objects.filter(email="grace@example.com").exists()
    asked = client.post("/accounts/password/reset/", {"email": "grace@example.com"}, follow=True)
    assert asked.status_code == 200

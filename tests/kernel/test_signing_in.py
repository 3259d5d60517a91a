"""Guessing a password is slow, and admin has no second way in."""

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.test import Client

from brokerhub.kernel.models import ApiToken, User

LOGIN = "/accounts/login/"
PASSWORD = "correct horse battery"


@pytest.fixture
def staff(db: None) -> User:
    return User.objects.create_superuser("staff@example.com", PASSWORD)


@pytest.fixture
def desk(staff: User) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def test_after_five_wrong_passwords_even_the_right_one_has_to_wait(caller):
    for attempt in range(5):
        answer = Client().post(LOGIN, {"login": caller.email, "password": f"wrong {attempt}"})
        assert answer.status_code == 200
    refused = Client().post(LOGIN, {"login": caller.email, "password": PASSWORD})
    assert refused.status_code == 200
    assert "Too many failed login attempts" in refused.content.decode()
    cache.clear()  # where the attempts are counted, so that every process counts together
    assert Client().post(LOGIN, {"login": caller.email, "password": PASSWORD}).status_code == 302


def test_a_wrong_password_and_an_unknown_person_are_answered_alike(caller):
    known = Client().post(LOGIN, {"login": caller.email, "password": "wrong"})
    unknown = Client().post(LOGIN, {"login": "nobody@example.com", "password": "wrong"})
    assert known.status_code == unknown.status_code == 200
    assert known.context["form"].errors == unknown.context["form"].errors


def test_admin_sends_a_stranger_to_the_hubs_own_sign_in(db):
    answer = Client().get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0].startswith(LOGIN)


def test_admin_is_for_staff_only(caller):
    client = Client()
    client.force_login(caller)
    assert client.get("/admin/", follow=True).status_code == 403


def test_admin_shows_tokens_without_anything_to_use_them_with(desk, caller):
    row, token = ApiToken.objects.create(user=caller, name="Nightly export", scopes=["portfolio:read"])
    pages = [desk.get(f"/admin/kernel/apitoken/{path}") for path in ("", "?q=nightly", f"{row.pk}/change/")]
    assert [page.status_code for page in pages] == [200, 200, 200]
    assert "Nightly export" in pages[0].content.decode()
    assert "portfolio:read" in pages[2].content.decode()
    shown = "".join(page.content.decode() for page in pages)
    assert token not in shown
    assert row.digest not in shown
    assert desk.get("/admin/kernel/apitoken/add/").status_code == 403


def test_admin_can_revoke_a_token_and_leaves_an_audit_row(desk, staff, caller):
    row, _ = ApiToken.objects.create(user=caller)
    answer = desk.post(f"/admin/kernel/apitoken/{row.pk}/delete/", {"post": "yes"})
    assert answer.status_code == 302
    assert not ApiToken.objects.exists()
    assert staff.logentry_set.count() == 1


def test_admin_shows_devices_and_second_factors_without_their_secrets(desk, caller):
    device = UserSession.objects.create(user=caller, ip="192.0.2.7", session_key="a-session-key", user_agent="Firefox")
    factor = TOTP.activate(caller, "JBSWY3DPEHPK3PXP").instance
    shown = ""
    for place in (f"usersessions/usersession/{device.pk}/", f"mfa/authenticator/{factor.pk}/"):
        for path in (f"{place.rpartition('/')[0].rpartition('/')[0]}/?q=caller", f"{place}change/"):
            answer = desk.get(f"/admin/{path}")
            assert answer.status_code == 200
            shown += answer.content.decode()
    assert "192.0.2.7" in shown
    assert "a-session-key" not in shown
    assert "JBSWY3DPEHPK3PXP" not in shown


def test_admin_finds_adds_and_shows_people(desk, caller):
    assert caller.email in desk.get("/admin/kernel/user/?q=caller").content.decode()
    page = desk.get(f"/admin/kernel/user/{caller.pk}/change/")
    assert page.status_code == 200
    assert caller.password not in page.content.decode()
    new = {"email": "New@Example.com", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert desk.post("/admin/kernel/user/add/", new).status_code == 302
    assert User.objects.get(email__iexact="new@example.com").check_password(PASSWORD)

"""A person's own settings."""

from collections.abc import Callable

import pytest
from django.test import Client

from brokerhub.kernel.models import User

SignUp = Callable[[User], Client]
GIVEN = {"name": "Ada L.", "currency": "EUR", "timezone": "Europe/Berlin"}


@pytest.fixture
def browser_of(sign_up: SignUp, person: User) -> Client:
    return sign_up(person)


def test_what_a_person_saves_is_kept_and_said(browser_of: Client, person: User) -> None:
    page = browser_of.post("/settings/", GIVEN, follow=True).content.decode()
    person.refresh_from_db()
    assert (person.name, person.currency, person.timezone) == ("Ada L.", "EUR", "Europe/Berlin")
    assert "Your settings are saved." in page


@pytest.mark.parametrize(("field", "value"), [("timezone", "Mars/Olympus"), ("timezone", ""), ("currency", "XAU")])
def test_what_is_not_offered_is_refused_beside_its_field(
    browser_of: Client, person: User, field: str, value: str
) -> None:
    page = browser_of.post("/settings/", GIVEN | {field: value})
    assert page.status_code == 200
    assert f'id="id_{field}_error"' in page.content.decode()
    person.refresh_from_db()
    assert person.name == "Ada"


def test_a_value_that_is_no_longer_offered_can_be_kept(browser_of: Client, person: User) -> None:
    User.objects.filter(pk=person.pk).update(timezone="US/Eastern", currency="HRK")
    browser_of.post("/settings/", {"name": "Ada L.", "timezone": "US/Eastern", "currency": "HRK"})
    person.refresh_from_db()
    assert (person.name, person.timezone, person.currency) == ("Ada L.", "US/Eastern", "HRK")


def test_nobody_can_name_more_than_the_form_shows(browser_of: Client, person: User) -> None:
    browser_of.post("/settings/", GIVEN | {"email": "other@example.com", "is_staff": "on"})
    person.refresh_from_db()
    assert (person.email, person.is_staff) == ("ada@example.com", False)


def test_one_persons_settings_change_nobody_elses(browser_of: Client, stranger: User) -> None:
    browser_of.post("/settings/", GIVEN)
    stranger.refresh_from_db()
    assert stranger.name == "Charlie"


@pytest.mark.django_db
def test_a_visitor_is_asked_to_sign_in_first(client: Client) -> None:
    answer = client.get("/settings/")
    assert answer.status_code == 302
    assert answer["Location"] == "/accounts/login/?next=/settings/"

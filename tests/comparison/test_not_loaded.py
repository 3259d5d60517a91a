"""Before anybody loaded the catalogue."""

import pytest
from django.test import Client

from tests.aggregation.factories import a_connection, a_user, an_account


def test_before_the_catalogue_is_loaded_the_pages_say_so(db):
    person = a_user()
    an_account(a_connection(person))
    client = Client()
    client.force_login(person)
    for address in ("/compare/", "/compare/features/", "/compare/mine/", "/compare/match/"):
        assert "There are no prices to compare yet" in client.get(address).content.decode()


@pytest.mark.parametrize("address", ["/compare/execution-quality/", "/compare/ratings/", "/compare/"])
def test_only_staff_are_told_of_commands(db, address):
    """Nothing is loaded: people read that something is missing, operators how to add it."""
    for is_staff in (False, True):
        person = a_user()
        person.is_staff = is_staff
        person.save(update_fields=["is_staff"])
        client = Client()
        client.force_login(person)
        assert ("manage.py" in client.get(address).content.decode()) is is_staff

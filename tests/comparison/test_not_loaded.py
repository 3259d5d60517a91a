"""Before anybody loaded the catalogue."""

from django.test import Client

from tests.aggregation.factories import a_connection, a_user, an_account


def test_before_the_catalogue_is_loaded_the_pages_say_so(db):
    person = a_user()
    an_account(a_connection(person))
    client = Client()
    client.force_login(person)
    for address in ("/compare/", "/compare/features/", "/compare/mine/", "/compare/match/"):
        assert "The broker catalogue is not loaded" in client.get(address).content.decode()

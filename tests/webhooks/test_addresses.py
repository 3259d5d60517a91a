"""How a webhook is sent to an address that was found good. Which are good: tests/security/test_outgoing.py."""

from brokerhub.webhooks import sending
from tests.plugins.outside import Names
from tests.webhooks.receiver import answer


def test_plain_http_goes_only_to_this_machine_even_where_private_addresses_are_allowed(names: Names, receiver):
    names.said["box.example.com"] = [["10.0.0.1"]]
    outcome = sending.post("http://box.example.com/", "{}", {})
    assert outcome.error == "Without https:// the hub connects to its own machine only."


def test_the_name_stays_in_the_request_while_the_checked_address_is_connected_to(names: Names, receiver):
    port = receiver.server.server_address[1]
    names.said["hooks.example.com"] = [["127.0.0.1"]]
    receiver.behave = answer(200)
    assert sending.post(f"http://hooks.example.com:{port}/in?x=1", "{}", {}).is_success
    [got] = receiver.got
    assert got.headers["host"] == f"hooks.example.com:{port}"
    assert got.path == "/in?x=1"


def test_an_environment_with_a_proxy_changes_nothing(receiver, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert sending.post(receiver.url, "{}", {}).is_success

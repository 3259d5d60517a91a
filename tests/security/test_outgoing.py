"""Where the server itself goes because a person has named the address: webhooks and maintenance feeds.

Nothing reaches the network the hub stands in, however its address is written, wrapped or resolved.
"""

import socket
from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError

from brokerhub.kernel.addresses import NOT_PUBLIC
from brokerhub.webhooks import sending
from health import feeds
from health.models import MaintenanceFeed
from tests.kernel.test_addresses import PRIVATE
from tests.plugins.outside import Names
from tests.webhooks.receiver import Behave, Handler, Receiver, answer

Going = Callable[[str], str]

INSIDE = [
    "https://127.0.0.1/feed.ics",
    "https://localhost/feed.ics",
    "https://[::1]/feed.ics",
    "https://169.254.169.254/latest/meta-data/",
    "https://10.0.0.7/feed.ics",
    "https://192.168.1.1/feed.ics",
    "https://[fd00::1]/feed.ics",
    "https://[::ffff:10.0.0.7]/feed.ics",
    "https://0x7f000001/feed.ics",
    "https://2130706433/feed.ics",
    "https://0/feed.ics",
]


def a_feed(url: str) -> MaintenanceFeed:
    return MaintenanceFeed(broker="schwab", kind="icalendar", url=url)


def a_webhook_goes(url: str) -> str:
    return sending.post(url, "{}", {}).error


def a_feed_goes(url: str) -> str:
    feed = a_feed(url)
    feed.save()
    assert not feeds.read(feed)
    return feed.error


@pytest.fixture(params=[a_webhook_goes, a_feed_goes])
def goes(request: pytest.FixtureRequest, db: None, settings) -> Going:
    """Goes there, and returns why it could not be reached."""
    settings.BROKERS_SANDBOX_URL = ""
    going: Going = request.param
    return going


@pytest.mark.parametrize("url", INSIDE)
def test_nothing_goes_to_an_address_that_is_not_public(goes: Going, url: str):
    assert goes(url) == NOT_PUBLIC


@pytest.mark.parametrize(
    "url", ["http://example.com/feed.ics", "file:///etc/passwd", "ftp://example.com/", "gopher://x/", "https:///x"]
)
def test_no_other_scheme_is_spoken(goes: Going, url: str):
    assert "https://" in goes(url)


def test_a_name_that_resolves_to_such_an_address_is_not_connected_to(goes: Going, names: Names):
    for number, text in enumerate(PRIVATE):
        names.said[f"inside{number}.example.com"] = [[text]]
        assert goes(f"https://inside{number}.example.com/") == NOT_PUBLIC, text


def test_one_private_address_among_public_ones_spoils_the_name(goes: Going, names: Names):
    names.said["mixed.example.com"] = [["1.1.1.1", "10.0.0.1"]]
    assert goes("https://mixed.example.com/") == NOT_PUBLIC


def test_a_name_that_changes_its_mind_is_asked_once_and_led_nowhere_else(
    goes: Going,
    names: Names,
    monkeypatch: pytest.MonkeyPatch,
):
    names.said["rebind.example.com"] = [["1.1.1.1"], ["127.0.0.1"]]
    tried = []

    def refuse(address, timeout):
        tried.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert goes("https://rebind.example.com/") == "It refuses connections."
    assert names.asked == ["rebind.example.com"]
    assert tried == ["1.1.1.1"]


def test_a_name_without_an_address_is_said_to_have_none(goes: Going, names: Names):
    names.said["nowhere.example.com"] = [[]]
    assert goes("https://nowhere.example.com/") == "Its name has no address in the DNS."


@pytest.mark.parametrize(
    "url", [*INSIDE, "http://example.com/a.ics", "https://example.com:22/", "https://printer.lan/"]
)
def test_such_a_feed_is_refused_when_it_is_entered(url: str, settings):
    settings.BROKERS_SANDBOX_URL = ""
    with pytest.raises(ValidationError) as refused:
        a_feed(url).clean()
    assert list(refused.value.message_dict) == ["url"]


def test_a_sandbox_opens_its_own_machine_to_feeds_and_nothing_else(settings):
    settings.BROKERS_SANDBOX_URL = "http://127.0.0.1:8900"
    a_feed("http://127.0.0.1:8900/_feeds/schwab/maintenance.ics").clean()
    for url in ("http://10.0.0.1/a.ics", "https://169.254.169.254/a.ics", "http://127.0.0.1@10.0.0.1/a.ics"):
        with pytest.raises(ValidationError):
            a_feed(url).clean()


def no_http(handler: Handler) -> None:
    handler.wfile.write(b"no HTTP")


def silent(handler: Handler) -> None:
    handler.rfile.read(1)  # which never comes


@pytest.mark.parametrize(
    ("behave", "why"),
    [
        (answer(200, b"BEGIN:VCALENDAR", **{"Content-Length": "5000"}), "The rest of the answer did not come."),
        (answer(200, b"x" * (feeds.MOST_BYTES + 1)), "The feed is larger than 2 MB."),
        (answer(302, b"", Location="http://169.254.169.254/"), "The address answered 302."),
        (no_http, "It closed the connection without an answer in HTTP."),
    ],
)
def test_a_feed_that_comes_in_part_or_too_large_or_from_elsewhere_is_not_taken(
    receiver: Receiver,
    db: None,
    settings,
    behave: Behave,
    why: str,
):
    settings.BROKERS_SANDBOX_URL = "http://127.0.0.1:8900"
    receiver.behave = behave
    assert a_feed_goes(receiver.url) == why
    assert len(receiver.got) == 1


def test_a_feed_that_drips_in_is_hung_up_on(receiver: Receiver, db: None, settings, monkeypatch):
    settings.BROKERS_SANDBOX_URL = "http://127.0.0.1:8900"
    monkeypatch.setattr(feeds, "DEADLINE", 0.2)
    receiver.behave = silent
    assert "did not answer" in a_feed_goes(receiver.url)

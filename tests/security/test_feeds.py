"""Where the server itself asks an address that a person has given it: maintenance feeds. (Webhooks: tests/webhooks.)"""

import pytest

from health import feeds
from health.models import MaintenanceFeed

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


@pytest.mark.parametrize("url", INSIDE)
def test_a_feed_is_read_from_public_https_addresses_only(url, db, settings):
    settings.BROKERS_SANDBOX_URL = ""
    feed = MaintenanceFeed.objects.create(broker="schwab", kind="icalendar", url=url)
    assert not feeds.read(feed)
    assert feed.error == "This address is not on the public internet."


@pytest.mark.parametrize(
    "url", ["http://example.com/feed.ics", "file:///etc/passwd", "ftp://example.com/", "gopher://x/", "https:///x"]
)
def test_no_other_scheme_is_read(url, db, settings):
    settings.BROKERS_SANDBOX_URL = ""
    feed = MaintenanceFeed.objects.create(broker="schwab", kind="icalendar", url=url)
    assert not feeds.read(feed)
    assert feed.error == "Only https:// addresses are read."

"""Which addresses are public and well written. What is done with them: tests/security/test_outgoing.py."""

import ipaddress

import pytest

from brokerhub.kernel import addresses
from brokerhub.kernel.addresses import AddressRefused

PRIVATE = [
    "127.0.0.1", "192.88.99.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.8", "192.0.2.1", "198.18.0.1", "203.0.113.9",
    "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "::127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1", "2001:0:0a00:1::",
]  # fmt: skip


@pytest.mark.parametrize("text", PRIVATE)
def test_an_address_that_is_not_public_is_refused(text):
    with pytest.raises(AddressRefused) as refused:
        addresses.check(ipaddress.ip_address(text))
    assert text not in str(refused.value)


@pytest.mark.parametrize("text", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::0808:0808"])
def test_a_public_address_is_not(text):
    addresses.check(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "//hooks.example.com/",
        "hooks.example.com",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://me:secret@hooks.example.com/",
        "https://hooks.example.com:22/",
        "https://hooks.example.com:25/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://localhost/",
        "https://localhost.:8443/",
        "https://db/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://hub.lan/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://0x7f.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[::ffff:10.0.0.1]/",
        "https://10.0.0.1./",
        "https://hooks..example.com/",
        "https://-.example.com/",
        "https://hooks.example.com/ HTTP/1.1",
        "https://hooks.example.com/\r\nHost: other",
        "https://hooks.example.com\\@10.0.0.1/",
        "https://hooks.example.com/" + "a" * 500,
    ],
)
def test_what_is_written_wrongly_or_leads_inside_is_refused_when_it_is_entered(url):
    with pytest.raises(AddressRefused):
        addresses.parse(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://hooks.example.com", "hooks.example.com", 443, "/"),
        ("https://Hooks.Example.com:8443/a?b=c#d", "hooks.example.com", 8443, "/a?b=c"),
        ("https://1.1.1.1/in", "1.1.1.1", 443, "/in"),
        ("https://[2606:4700:4700::1111]:2053/", "2606:4700:4700::1111", 2053, "/"),
        ("https://bücher.example.com/ü", "xn--bcher-kva.example.com", 443, "/%C3%BC"),
    ],
)
def test_an_address_is_taken_apart(url, host, port, path):
    target = addresses.parse(url)
    assert (target.host, target.port, target.path) == (host, port, path)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/", "https://10.0.0.1:22/", "https://db/", "http://[::1]/"])
def test_the_own_network_may_be_allowed(url):
    addresses.parse(url, allow_private=True)


@pytest.mark.parametrize("url", ["ftp://db/", "https://me:secret@db/", "https://-.example.com/", "https://db\\@x/"])
def test_what_is_no_address_is_none_where_all_are_allowed(url):
    with pytest.raises(AddressRefused):
        addresses.parse(url, allow_private=True)

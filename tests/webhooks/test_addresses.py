"""Nothing is sent into the network the hub stands in, however its address is written, wrapped or resolved."""

import ipaddress
import socket

import pytest

from brokerhub.webhooks import addresses, sending
from brokerhub.webhooks.addresses import AddressRefused
from tests.webhooks.receiver import answer

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


@pytest.fixture
def names(monkeypatch):
    """What the DNS says, asked time after time."""
    said: dict[str, list[list[str]]] = {}
    asked: list[str] = []

    def resolve(host, port, *_args, **_kwargs):
        if host[0].isdigit():  # an address needs no DNS
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
        asked.append(host)
        answers = said[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if not found:
            raise socket.gaierror("unknown")
        return [
            (socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return said, asked


@pytest.mark.parametrize("text", PRIVATE)
def test_a_name_that_resolves_to_such_an_address_is_not_connected_to(names, receiver, settings, text):
    settings.WEBHOOK_ALLOW_PRIVATE = False
    names[0]["inside.example.com"] = [[text]]
    outcome = sending.post("https://inside.example.com/", "{}", {})
    assert (outcome.status, outcome.error) == (None, addresses.NOT_PUBLIC)


def test_one_private_address_among_public_ones_spoils_the_name(names):
    names[0]["mixed.example.com"] = [["1.1.1.1", "10.0.0.1"]]
    assert sending.post("https://mixed.example.com/", "{}", {}).error == addresses.NOT_PUBLIC


def test_a_name_that_changes_its_mind_is_asked_once_and_led_nowhere_else(names, monkeypatch):
    said, asked = names
    said["rebind.example.com"] = [["1.1.1.1"], ["127.0.0.1"]]
    tried = []

    def refuse(address, timeout):
        tried.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert sending.post("https://rebind.example.com/", "{}", {}).error == "It refuses connections."
    assert asked == ["rebind.example.com"]
    assert tried == ["1.1.1.1"]


def test_a_name_without_an_address_is_said_to_have_none(names):
    names[0]["nowhere.example.com"] = [[]]
    assert sending.post("https://nowhere.example.com/", "{}", {}).error == "Its name has no address in the DNS."


def test_plain_http_goes_only_to_this_machine_even_where_private_addresses_are_allowed(names, receiver, settings):
    names[0]["box.example.com"] = [["10.0.0.1"]]
    outcome = sending.post("http://box.example.com/", "{}", {})
    assert outcome.error == "Without https:// nothing is sent to another machine."


def test_the_name_stays_in_the_request_while_the_checked_address_is_connected_to(names, receiver):
    port = receiver.server.server_address[1]
    names[0]["hooks.example.com"] = [["127.0.0.1"]]
    receiver.behave = answer(200)
    assert sending.post(f"http://hooks.example.com:{port}/in?x=1", "{}", {}).is_success
    [got] = receiver.got
    assert got.headers["host"] == f"hooks.example.com:{port}"
    assert got.path == "/in?x=1"


def test_an_environment_with_a_proxy_changes_nothing(receiver, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert sending.post(receiver.url, "{}", {}).is_success

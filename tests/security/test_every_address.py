"""Attacks that are tried at every address there is: pages, fragments, files, API and administration.

The addresses come from the URL configuration (addresses.py), so a new one is attacked without being named here. One
that visitors may see has to be added to PUBLIC, one that writes while it is read to WRITES_WHEN_READ: on purpose.
"""

import csv
import io
import re
from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

import pytest
from django.contrib import admin
from pytest_django.plugin import DjangoDbBlocker

from brokerhub.middleware import PROBES
from tests.security.addresses import Address
from tests.security.canaries import MARK, OWNERS, Page, written_fields
from tests.security.walking import Answer, ask
from tests.security.world import HERE, World, leading_to, made

pytestmark = pytest.mark.django_db

PUBLIC = {
    "/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/accounts/confirm-email/",
    "/accounts/confirm-email/{key}/",
    "/accounts/inactive/",
    "/accounts/login/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
    "/accounts/password/reset/key/done/",
    "/accounts/password/reset/key/{uidb36}-{key}/",
    "/accounts/signup/",
    "/api/docs",
    "/api/errors",
    "/api/schema",
    "/healthz",
    "/livez",
    "/readyz",
}
CACHED = {"/health/badge/{broker}.svg", "/health/api/v2/{document}.json", "/.well-known/jwks.json"}
# Apps come here from elsewhere; what a person then answers is guarded: tests/identity/test_letting_in.py.
FOR_APPS = "/oauth/"
# Tables that say where and when somebody was, whatever they did; and one whose rows are made when first looked at.
UNTOLD = ("django_session", "usersessions_usersession", "sync_schedule")
WRITES_WHEN_READ = {
    "/accounts/email/",  # allauth first notes the address that a person came with
}


@pytest.fixture(scope="module")
def whole_world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with django_db_blocker.unblock(), made() as world:
        yield world


@pytest.fixture
def _django_db_helper(whole_world: World, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """In place of pytest-django's transaction for each test: all share one, and what a request does is taken back at
    once."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def world(whole_world: World, db: None) -> World:
    return whole_world


def written(answer: Answer) -> list[str]:
    """The tables it wrote, without those about visits."""
    changes = re.compile(r'\s*(?:INSERT INTO|UPDATE|DELETE FROM|COPY) "?(\w+)')
    tables = {found[1] for sql in answer.written if (found := changes.match(sql))}
    return sorted(tables - set(UNTOLD))


def every_answer(world: World) -> list[Answer]:
    return [*world.walk(None), *world.walk(world.stranger), *world.walk(world.owner), *world.walk(world.staff)]


def test_the_list_holds_pages_fragments_files_api_and_administration(world):
    routes = {address.route for address in world.addresses}
    assert {"/", "/health/widget", "/portfolio/transactions.{suffix}", "/api/v1/brokers/accounts"} <= routes
    assert {"/admin/", "/admin/kernel/user/{object_id}/change/", "/accounts/login/"} <= routes
    assert len(admin.site._registry) * 5 < sum(address.is_admin for address in world.addresses)
    assert world.planted > 30
    assert len(list(written_fields())) > 60


# --- Who gets in ------------------------------------------------------------------------------------------------------
def test_nothing_but_what_is_meant_for_visitors_answers_them(world):
    assert {answer.address.route for answer in world.walk(None) if answer.status == 200} <= PUBLIC
    for answer in world.walk(None):
        assert answer.status in {200, 301, 302, 400, 401, 403, 404, 405} or answer.path == "/readyz", answer
        assert OWNERS not in answer.body.decode(errors="replace"), answer


def test_a_visitor_can_change_nothing(world):
    client = world.browser(None)
    for address in world.telling:
        answer = ask(client, "POST", address, world.paths[address.route])
        assert written(answer) == [], answer
        assert answer.status != 500, answer


def test_a_stranger_is_never_shown_what_is_anothers(world):
    """Every name and text of the owner's rows bears a mark."""
    shown = [answer.path for answer in world.walk(world.owner) if OWNERS in answer.body.decode(errors="replace")]
    assert len(shown) > 20, "else this proves nothing"
    leaks = [answer.path for answer in world.walk(world.stranger) if OWNERS in answer.body.decode(errors="replace")]
    assert leaks == []


def test_the_administration_is_closed_to_people_who_are_no_staff(world):
    client = world.browser(world.stranger)
    for address in world.telling:
        if address.is_admin:
            answer = ask(client, "GET", address, world.paths[address.route])
            assert answer.status in {302, 403, 404}, answer


def test_no_unsafe_request_passes_without_the_csrf_token(world):
    def tried(user, method, where):
        client = world.browser(user, enforce_csrf_checks=True)
        addresses = [each for each in world.telling if where(each) and method in each.unsafe]
        return [
            ask(client, method, each, world.paths[each.route], REMOTE_ADDR=f"192.0.2.{number % 250 + 1}")
            for number, each in enumerate(addresses)
        ]

    answers = tried(world.owner, "POST", lambda each: not each.is_admin)
    answers += tried(world.staff, "POST", lambda each: each.is_admin)
    for method in ("PUT", "PATCH", "DELETE"):
        answers += tried(world.owner, method, lambda each: each.is_api)
    for answer in answers:
        assert answer.status in {403, 404, 405} or answer.path.startswith(FOR_APPS), answer
        assert written(answer) == [], answer
    assert sum(answer.status == 403 for answer in answers) > 200


# --- What reading does ------------------------------------------------------------------------------------------------
def test_reading_changes_nothing(world):
    """Nor does a header that names another method, which all walks send."""
    for answer in [*world.walk(world.owner), *world.walk(world.staff)]:
        if answer.address.route not in WRITES_WHEN_READ:
            assert written(answer) == [], answer


def test_no_answer_fails(world):
    failed = {answer.path for answer in every_answer(world) if answer.status >= 500}
    assert [path for path in failed if not path.startswith("/readyz")] == []


def test_methods_that_a_page_does_not_know_do_nothing(world):
    client = world.browser(world.staff)
    for address in world.telling:
        answer = ask(client, "TRACE", address, world.paths[address.route])
        assert answer.status == 405, answer
        assert written(answer) == [], answer


# --- What answers look like -------------------------------------------------------------------------------------------
def test_every_answer_carries_the_security_headers(world):
    for answer in every_answer(world):
        headers = answer.headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == policy["object-src"] == policy["base-uri"] == "'none'", answer
        assert policy["frame-ancestors"] == "'none'", answer
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'", answer
        assert "unsafe" not in headers["Content-Security-Policy"], answer
        assert headers["X-Frame-Options"] == "DENY", answer
        assert headers["X-Content-Type-Options"] == "nosniff", answer
        assert headers["Referrer-Policy"] == "same-origin", answer
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", answer
        assert "no-store" in headers["Cache-Control"] or answer.address.route in CACHED, answer
        assert "Access-Control-Allow-Origin" not in headers or answer.address.route in PUBLIC, answer


def test_no_page_brings_markup_of_others_or_anything_inline(world):
    pages = [answer for answer in every_answer(world) if answer.kind == "text/html"]
    faults = {answer.path: sorted(found) for answer in pages if (found := set(Page(answer.text).faults))}
    assert faults == {}
    assert sum(MARK in answer.text for answer in pages) > 40, "else this proves nothing"


def test_no_answer_holds_a_secret(world):
    """Whatever is sealed in a row, and the digests of what is not kept at all."""
    for answer in every_answer(world):
        said = answer.body.decode(errors="replace") + str(answer.headers)
        assert not any(secret in said for secret in world.secrets), answer


def test_no_cell_of_any_file_is_a_formula(world):
    files = [answer for answer in every_answer(world) if answer.kind == "text/csv" and answer.status == 200]
    assert len({answer.address.route for answer in files}) > 8
    for answer in files:
        for row in csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))):
            for cell in row:
                assert not cell.startswith(("=", "+", "@", "\t", "\r")), answer
                assert not cell.startswith("-") or re.fullmatch(r"-[\d.,]+(E[+-]?\d+)?", cell), answer
    assert any(MARK in answer.text for answer in files), "else this proves nothing"


def test_files_come_as_attachments_and_say_what_they_are(world):
    for answer in every_answer(world):
        if not answer.body:
            continue
        assert answer.headers["Content-Type"], answer
        if answer.kind.startswith("text/"):
            assert re.search(r'charset="?utf-8', answer.headers["Content-Type"]), answer
        if answer.kind in {"text/csv", "application/zip"} and answer.status == 200:
            named = answer.headers["Content-Disposition"]
            assert re.fullmatch(r'attachment; filename="[\w.-]+"', named), answer
        assert answer.address.is_api is False or answer.kind in {
            "application/json",
            "text/csv",
            "text/html",
            "application/vnd.oai.openapi",
        }, answer


def test_signing_out_is_at_hand_on_every_page(world):
    pages = [answer for answer in world.walk(world.owner) if b'<main class="main"' in answer.body]
    assert len(pages) > 40
    for answer in pages:
        assert "/accounts/logout/" in answer.text, answer


# --- Where answers lead -----------------------------------------------------------------------------------------------
ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "https:evil.example",
    "http:///evil.example",
    "/%09/evil.example",
    "javascript:alert(1)",
    "https://testserver@evil.example/",
    "https://testserver.evil.example/",
    "/x\r\nSet-Cookie: injected=1",
]


def _leads_away(answer: Answer) -> bool:
    target = urlsplit(answer.sent_to.replace("\\", "/"))
    return target.scheme not in {"", "http", "https"} or target.netloc not in {"", "testserver"}


def _posted(world: World, address: Address, target: str) -> Answer:
    chosen = urlencode({"theme": "dark", "amounts": "hidden", "currency": "USD"})
    form = {"data": f"{leading_to(target)}&{chosen}", "content_type": "application/x-www-form-urlencoded"}
    return ask(world.browser(world.owner), "POST", address, world.paths[address.route], **form)


def test_no_address_sends_people_elsewhere(world):
    """First those are found that lead on to where they are told, then they are told to lead elsewhere."""
    answers = world.walk(world.owner)
    forms = {form["action"] for answer in answers if answer.kind == "text/html" for form in Page(answer.text).forms}
    told = [answer.address for answer in answers if answer.status == 405 or answer.path.partition("?")[0] in forms]
    posted = [_posted(world, address, HERE) for address in told if not address.is_api]
    read = {answer.address for answer in answers if "by-next" in answer.sent_to}
    sent = {answer.address for answer in posted if "by-next" in answer.sent_to}
    assert {"/preferences/theme", "/preferences/amounts"} <= {address.route for address in sent}
    for target in ELSEWHERE:
        client = world.browser(world.owner)
        tried = [ask(client, "GET", each, f"{world.paths[each.route]}?{leading_to(target)}") for each in read]
        for answer in [*tried, *(_posted(world, address, target) for address in sent)]:
            assert not _leads_away(answer), (answer, target)
            assert not any(set("\r\n") & set(value) for value in answer.headers.values()), (answer, target)
            assert "injected" not in answer.headers.get("Set-Cookie", ""), (answer, target)


@pytest.mark.parametrize("target", ELSEWHERE)
def test_signing_in_leads_nowhere_else(world, target):
    world.owner.set_password("correct horse battery")
    world.owner.save(update_fields=["password"])
    login = next(address for address in world.addresses if address.route == "/accounts/login/")
    data = urlencode({"login": world.owner.email, "password": "correct horse battery", "next": target})
    form = {"data": data, "content_type": "application/x-www-form-urlencoded"}
    answer = ask(world.browser(None), "POST", login, "/accounts/login/", **form)
    assert answer.status == 302
    assert answer.sent_to.startswith("/")
    assert not _leads_away(answer)


def test_another_hosts_name_opens_nothing(world):
    """What answers stands before all views, so one form of the administration stands for the others.

    Probes of a load balancer may come by any name; they say nothing and lead nowhere.
    """
    client = world.browser(None, HTTP_HOST="evil.example")
    for address in (each for each in world.telling if each.model is None and each.route not in PROBES):
        answer = ask(client, "GET", address, world.paths[address.route])
        assert answer.status == 400, answer
        assert b"evil.example" not in answer.body, answer


def test_a_mail_names_our_host_whatever_a_proxy_was_told(world, mailoutbox):
    client = world.browser(None, HTTP_X_FORWARDED_HOST="evil.example")
    client.post("/accounts/password/reset/", {"email": world.owner.email})
    assert "evil.example" not in mailoutbox[-1].body
    assert "http://testserver/accounts/" in mailoutbox[-1].body


UP = ["..%2f..%2f..%2fetc%2fpasswd", "....//....//etc/passwd", "%2e%2e%2f%2e%2e%2fmanage.py", "..%5c..%5cmanage.py"]


def test_files_are_taken_where_hostile_ones_were_tried(world):
    """At the import and its API: tests/sync/test_hostile_files.py; at the export: tests/archive/test_archive.py."""
    pages = [answer for answer in world.walk(world.owner) if answer.kind == "text/html" and answer.status == 200]
    taking = {form["action"] or answer.path for answer in pages for form in Page(answer.text).forms if form["file"]}
    assert {urlsplit(action).path for action in taking} <= {"/sync/import/", "/settings/export/read/"}


def test_a_word_in_an_address_leads_to_no_file(world):
    client = world.browser(world.staff)
    tried = [(address, name) for address in world.telling if not address.model for name in address.texts]
    assert len(tried) > 15
    paths = [
        (address, address.route.format(**dict.fromkeys(address.names, "1") | {name: up}))
        for address, name in tried
        for up in UP
    ]
    static = next(address for address in world.addresses if address.route == "/healthz")
    paths += [(static, f"/static/{up}") for up in UP]
    paths += [(static, path) for path in ("/static/", "/.git/config", "/static/../manage.py", "/.env", "/manage.py")]
    for address, path in paths:
        answer = ask(client, "GET", address, path)
        assert answer.status in {302, 400, 403, 404, 405} or address.route in PUBLIC, answer
        assert b"root:" not in answer.body, answer
        assert b"execute_from_command_line" not in answer.body, answer

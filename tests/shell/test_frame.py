"""The frame of every page: navigation, theme, hidden amounts, errors, weight and what the security policy asks."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.template.loader import render_to_string
from django.test import Client
from pytest_django.fixtures import Settings

from brokerhub.kernel.models import User

SignUp = Callable[[User], Client]
ACCOUNT = "/accounts"
OWN_PAGES = ["/", "/settings/"] + [
    f"{ACCOUNT}/{page}/" for page in ("email", "password/change", "2fa", "sessions", "logout")
]
ENTRANCE_PAGES = [f"{ACCOUNT}/{page}/" for page in ("login", "signup", "password/reset", "password/reset/done")]
FIRST_PAGE_BUDGET = 150_000  # bytes, uncompressed, without the chart library


@pytest.fixture
def browser_of(sign_up: SignUp, person: User) -> Client:
    return sign_up(person)


def text_of(client: Client, path: str, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status
    return " ".join(response.content.decode().split())


def inline(html: str) -> list[str]:
    """Whatever our content security policy would refuse."""
    scripts = re.findall(r"<script(?![^>]*(?:\ssrc=|application/json))[^>]*>", html)
    return scripts + re.findall(r"<style\b|\sstyle=|\son[a-z]+=\"|javascript:", html)


@pytest.mark.parametrize("path", OWN_PAGES)
def test_each_page_has_one_heading_and_nothing_inline(browser_of: Client, path: str) -> None:
    html = text_of(browser_of, path)
    assert html.count("<h1") == 1
    assert inline(html) == []
    assert re.search(r"<title>\s*\w", html), "a page says its name first"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ENTRANCE_PAGES)
def test_pages_on_the_way_in_look_like_ours(client: Client, path: str) -> None:
    html = text_of(client, path)
    assert "entrance__card" in html
    assert html.count("<h1") == 1
    assert inline(html) == []
    assert 'aria-label="Main"' not in html, "nobody has signed in, so there is nowhere to go"


def test_the_navigation_marks_where_one_is(browser_of: Client) -> None:
    html = text_of(browser_of, "/connections/")
    assert re.search(r'href="/connections/" aria-current="page"', html)
    assert html.count('aria-current="page"') == 1


def test_a_page_below_a_place_marks_the_place(browser_of: Client) -> None:
    html = text_of(browser_of, "/connections/new/")
    assert re.search(r'href="/connections/" aria-current="true"', html)


def test_the_sandbox_is_named_on_every_page_and_a_live_hub_says_nothing(browser_of: Client, settings: Settings) -> None:
    assert ">Sandbox<" in text_of(browser_of, "/settings/")
    settings.ENVIRONMENT = "live"
    assert ">Sandbox<" not in text_of(browser_of, "/settings/")


def test_the_health_widget_is_on_every_page_of_who_signed_in(browser_of: Client, client: Client) -> None:
    assert 'hx-get="/health/widget"' in text_of(browser_of, "/settings/")
    assert 'hx-get="/health/widget"' not in text_of(client, "/nowhere", 404)


# --- Theme and hidden amounts -----------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_the_chosen_theme_is_in_the_first_byte_that_arrives(client: Client) -> None:
    answer = client.post("/preferences/theme", {"theme": "dark", "next": "/accounts/login/"})
    assert answer["Location"] == "/accounts/login/"
    html = text_of(client, "/accounts/login/")
    assert 'data-theme="dark"' in html
    assert '<meta name="color-scheme" content="dark">' in html


@pytest.mark.django_db
def test_a_theme_cookie_made_up_elsewhere_is_ignored(client: Client) -> None:
    client.cookies["theme"] = '"><script>'
    assert 'data-theme="auto"' in text_of(client, "/accounts/login/")


@pytest.mark.parametrize(
    ("path", "fields"), [("theme", {"theme": "neon"}), ("theme", {}), ("amounts", {"amounts": "maybe"})]
)
def test_a_choice_that_is_none_is_refused(client: Client, path: str, fields: dict[str, str]) -> None:
    answer = client.post(f"/preferences/{path}", fields)
    assert answer.status_code == 400
    assert answer.cookies == {}


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_the_switches_never_lead_out_of_the_hub(client: Client, target: str) -> None:
    answer = client.post("/preferences/theme", {"theme": "dark", "next": target})
    assert answer["Location"] == "/"


def test_the_switches_are_closed_to_forgeries_and_to_links(client: Client) -> None:
    assert client.get("/preferences/amounts").status_code == 405
    assert Client(enforce_csrf_checks=True).post("/preferences/amounts", {"amounts": "hidden"}).status_code == 403


def test_hiding_amounts_turns_the_button_round(browser_of: Client) -> None:
    browser_of.post("/preferences/amounts", {"amounts": "hidden", "next": "/"})
    html = text_of(browser_of, "/settings/")
    assert 'data-amounts="hidden"' in html
    assert 'value="shown"' in html


# --- When something fails ---------------------------------------------------------------------------------------------
def test_a_missing_page_keeps_the_navigation_of_who_signed_in(browser_of: Client) -> None:
    html = text_of(browser_of, "/nowhere", 404)
    assert 'aria-label="Main"' in html
    assert "There is nothing at this address" in html


@pytest.mark.django_db
def test_a_missing_page_tells_a_visitor_the_request_to_name(client: Client) -> None:
    answer = client.get("/nowhere")
    assert answer["X-Request-ID"] in answer.content.decode()


def test_the_page_for_our_own_failure_needs_nothing_that_may_have_failed() -> None:
    html = render_to_string("500.html")
    assert "Something went wrong on our side" in html
    assert inline(html) == []


# --- What a page weighs -----------------------------------------------------------------------------------------------
def weight(html: str) -> int:
    """Bytes of a page with everything it links."""
    linked = re.findall(r'(?:href|src)="/static/([^"]+)"', html)
    found = [finders.find(name) for name in set(linked)]
    assert None not in found
    return len(html.encode()) + sum(Path(str(name)).stat().st_size for name in found)


def test_the_first_page_is_light(browser_of: Client) -> None:
    assert weight(text_of(browser_of, "/")) < FIRST_PAGE_BUDGET


def test_pages_travel_compressed_and_their_lengths_tell_nothing(browser_of: Client) -> None:
    answers = [browser_of.get("/compare/", headers={"accept-encoding": "gzip"}) for _ in range(5)]
    assert {answer["Content-Encoding"] for answer in answers} == {"gzip"}
    assert all("<h1" in gzip.decompress(answer.content).decode() for answer in answers)
    assert max(len(answer.content) for answer in answers) < FIRST_PAGE_BUDGET
    assert len({len(answer.content) for answer in answers}) > 1


def test_the_chart_library_comes_from_its_package(tmp_path: Path, settings: Settings) -> None:
    found = finders.find("plotly/plotly.min.js")
    assert isinstance(found, str)
    assert Path(found).parent.name == "package_data"
    assert finders.find("plotly/widgetbundle.js") is None
    settings.STATIC_ROOT = tmp_path
    call_command("collectstatic", interactive=False, verbosity=0)
    assert (tmp_path / "plotly" / "plotly.min.js").stat().st_size == Path(found).stat().st_size

"""Each moment of planned maintenance is told once: on the page until it is put away, and late when the hub was away."""

from collections import Counter
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from brokerhub.kernel.models import User
from connections.models import Connection
from health import alerts
from health.maintenance_models import MaintenanceWindow, Moment
from health.models import AlertChoice
from health.signals import maintenance_moment
from health.watching import watch
from tests.aggregation.factories import a_connection
from tests.health import calls
from tests.health.test_maintenance import HOUR, a_window, no_known_windows

pytestmark = pytest.mark.django_db
__all__ = ["no_known_windows"]
PAGE = "/connections/"
PUT_AWAY = "/health/banner"
NIGHT = timedelta(hours=8)
SAID = {
    Moment.BEFORE: "Charles Schwab plans maintenance",
    Moment.START: "Charles Schwab is under planned maintenance until",
    Moment.END: "The planned maintenance of Charles Schwab has been over since",
}


@pytest.fixture
def person(db: None) -> User:
    return a_connection().user


@pytest.fixture
def web(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def said(web: Client) -> set[Moment]:
    page = web.get(PAGE).content.decode()
    return {moment for moment, words in SAID.items() if words in page}


def banner_of(window: MaintenanceWindow, moment: Moment) -> str:
    """What the form on the page names."""
    (occurrence,) = window.occurrences(timezone.now() - 2 * NIGHT, timezone.now() + 2 * NIGHT)
    return f"{occurrence.key}-{moment}"


# --- The banner -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("begins_in", "moment"), [(5 * HOUR, Moment.BEFORE), (-HOUR / 2, Moment.START), (-3 * HOUR, Moment.END)]
)
def test_a_banner_tells_each_moment_until_it_is_put_away(
    web: Client, person: User, begins_in: timedelta, moment: Moment
) -> None:
    Connection.objects.update(created_at=timezone.now() - 10 * NIGHT)
    window = a_window(timezone.now() + begins_in)
    watch()
    assert said(web) == {moment}
    answer = web.post(PUT_AWAY, {"banner": banner_of(window, moment), "next": PAGE})
    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    assert said(web) == set()
    web.post(PUT_AWAY, {"banner": banner_of(window, moment)})  # twice changes nothing
    window.delete()
    a_window(timezone.now() + begins_in, 2 * HOUR)
    watch()
    assert said(web) == {moment}, "what is moved is another one"


def test_what_was_put_away_before_it_began_is_told_again_when_it_begins_and_to_others_all_the_time(web: Client) -> None:
    window = a_window(timezone.now() - HOUR / 2)
    watch()
    web.post(PUT_AWAY, {"banner": banner_of(window, Moment.BEFORE)})
    assert said(web) == {Moment.START}, "of the moment before there was nothing to put away"
    part = web.post(PUT_AWAY, {"banner": banner_of(window, Moment.START)}, headers={"HX-Request": "true"})
    assert (part.status_code, part.content) == (200, b""), "it takes the banner's place"
    assert said(web) == set()
    other = Client()
    other.force_login(a_connection().user)
    assert said(other) == {Moment.START}


def test_the_end_is_told_neither_of_what_comes_every_night_nor_to_who_came_later(web: Client, person: User) -> None:
    a_window(timezone.now() - 2 * HOUR)
    watch()
    assert said(web) == set(), "connected after it was over"
    Connection.objects.update(created_at=timezone.now() - NIGHT)
    assert said(web) == {Moment.END}
    MaintenanceWindow.objects.update(is_routine=True)
    watch()
    assert said(web) == set()


@pytest.mark.parametrize("banner", ["", "nonsense", "1-20200101T0000Z-start"])
def test_a_banner_that_is_not_shown_is_nothing_to_put_away(web: Client, banner: str) -> None:
    a_window(timezone.now() - HOUR / 2)
    watch()
    answer = web.post(PUT_AWAY, {"banner": banner, "next": "https://elsewhere.example/"})
    assert answer["Location"] == "/", "and nobody is sent elsewhere"
    assert said(web) == {Moment.START}


# --- A hub that was away ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("looks", "told"),
    [
        pytest.param((-1, 0.5, 2), ["before", "start", "end"], id="there all the time"),
        pytest.param(
            (-1, 0.9, 2), ["before", "start", "end"], id="away at its beginning: told late, as it is still on"
        ),
        pytest.param(
            (-1, 6), ["before", "end"], id="away over all of it: that it is over is told, that it began is not"
        ),
        pytest.param((-1, 8), ["before"], id="away for so long that nobody asks any more"),
        pytest.param((3,), ["end"], id="away since before it was announced"),
        pytest.param((-0.1, 2, 2.1), ["before", "end"], id="announced late, and the end told once"),
    ],
)
def test_what_fell_into_the_time_the_hub_was_away_is_told_once_while_it_is_of_use(
    person: User, looks: tuple[float, ...], told: list[str]
) -> None:
    """By mail and to programs alike; `looks` are hours since the window began, which is an hour long."""
    Connection.objects.update(created_at=calls.NOW - 10 * NIGHT)
    AlertChoice.objects.create(user=person, mail_start=True, mail_end=True)
    heard: list[str] = []

    def hear(moment: Moment, **_: object) -> None:
        heard.append(moment.value)

    maintenance_moment.connect(hear)
    a_window(calls.NOW)
    for hours in looks:
        for _ in range(2):  # two watchers, or a second look at the same moment
            alerts.send_due(calls.NOW + hours * HOUR)
    maintenance_moment.disconnect(hear)
    subjects = Counter(message.subject.partition(": ")[2].split(" on ")[0] for message in mail.outbox)
    words = {
        "before": "planned maintenance",
        "start": "the planned maintenance has begun",
        "end": "the planned maintenance is over",
    }
    assert heard == told
    assert subjects == Counter(words[moment] for moment in told)


def test_who_connected_after_it_was_over_is_not_mailed_of_its_end(person: User) -> None:
    AlertChoice.objects.create(user=person, mail_end=True)
    a_window(calls.NOW)
    Connection.objects.update(created_at=calls.NOW + 2 * HOUR)
    assert alerts.send_due(calls.NOW + 3 * HOUR) == 0
    Connection.objects.update(created_at=calls.NOW + HOUR / 2)
    assert alerts.send_due(calls.NOW + 3 * HOUR) == 1

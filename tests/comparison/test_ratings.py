"""Ratings: who may rate, what is checked, how an average is made, and what readers, authors and operators can do."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from brokerhub.kernel.models import Scope, User
from comparison import ratings
from comparison.models import BrokerRating, ComparisonBroker, RatingEvent
from comparison.rating_rules import bayesian, cleaned, objection
from comparison.ratings import Opinion
from connections.brokers.records import AuthMethod
from tests.aggregation.factories import a_connection, a_user

pytestmark = pytest.mark.django_db
PATH = "/api/v1/brokers/schwab/ratings"
SAID = {"overall": 4, "fees": 5, "text": "Calm and honest.", "is_independent": True}


@pytest.fixture
def schwab() -> ComparisonBroker:
    return ComparisonBroker.objects.create(key="schwab", name="Charles Schwab", role="integrated")


@pytest.fixture
def robinhood() -> ComparisonBroker:
    return ComparisonBroker.objects.create(key="robinhood", name="Robinhood", role="integrated")


def a_customer(user: User | None = None, broker: str = "schwab", **fields) -> User:
    """Somebody whose connection works and whose account is older than a week."""
    user = user or a_user()
    User.objects.filter(pk=user.pk).update(date_joined=timezone.now() - timedelta(days=8))
    user.refresh_from_db()
    a_connection(user, broker=broker, **{"last_success_at": timezone.now()} | fields)
    return user


@pytest.fixture
def operator() -> User:
    return User.objects.create_superuser("operator@example.com", "correct horse battery")


def published(broker: ComparisonBroker, *stars: int, **fields) -> list[BrokerRating]:
    made = [BrokerRating(user=a_customer(), broker=broker, overall=each, state="approved", **fields) for each in stars]
    return BrokerRating.objects.bulk_create(made)


# --- Writing ----------------------------------------------------------------------------------------------------------
def test_a_customer_rates_and_the_rating_waits_until_it_is_checked(schwab, caller, api, operator):
    a_customer(caller)
    answer = api.post(PATH, SAID)
    assert (answer.status_code, answer.json()["state"]) == (201, "pending")
    assert api.get(PATH).json()["standing"]["count"] == 0, "nobody counts it yet"
    ratings.approve(BrokerRating.objects.get(), actor=operator)
    told = api.get(PATH).json()
    assert told["standing"]["count"] == 1
    assert [review["text"] for review in told["reviews"]] == ["Calm and honest."]
    assert told["reviews"][0]["author"] == "A customer"


def test_there_is_one_rating_a_person_and_broker_and_changing_it_has_it_checked_again(schwab, caller, api, operator):
    a_customer(caller)
    api.post(PATH, SAID)
    ratings.approve(BrokerRating.objects.get(), actor=operator)
    answer = api.post(PATH, SAID | {"overall": 2, "text": "Changed."})
    assert (answer.status_code, answer.json()["state"]) == (200, "pending")
    assert BrokerRating.objects.get().overall == 2
    said = [event.said.get("overall") for event in RatingEvent.objects.filter(action__in=["written", "changed"])]
    assert sorted(said) == [2, 4], "what was said before is kept in the trail"
    with pytest.raises(IntegrityError), transaction.atomic():
        BrokerRating.objects.create(user=caller, broker=schwab, overall=1)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"last_success_at": None}, "connect your account"),
        ({"last_success_at": timezone.now() - timedelta(days=181)}, "connect your account"),
        ({"method": AuthMethod.FILE}, "connect your account"),
        ({"environment": "live"}, "connect your account"),
        ({"broker": "robinhood"}, "connect your account"),
    ],
)
def test_without_a_connection_that_works_nobody_rates(schwab, caller, api, fields, why):
    a_customer(caller, **fields)
    answer = api.post(PATH, SAID)
    assert answer.status_code == 409
    assert why in answer.json()["detail"]
    assert api.get(PATH).json()["may_rate"] is False
    assert not BrokerRating.objects.exists()


def test_a_broker_the_hub_cannot_connect_has_no_raters_and_says_why(api, web):
    ComparisonBroker.objects.create(key="fidelity", name="Fidelity", role="comparison_only")
    refused = api.post("/api/v1/brokers/fidelity/ratings", SAID)
    assert refused.status_code == 409
    page = web.get("/compare/ratings/fidelity/").content.decode()
    assert "The hub cannot connect accounts at Fidelity yet" in page
    assert "Your connections" not in page


def test_a_new_account_waits_a_week(schwab, caller, api):
    a_connection(caller, last_success_at=timezone.now())
    assert "You can rate brokers from" in api.post(PATH, SAID).json()["detail"]


def test_one_new_rating_and_ten_changes_a_day(schwab, robinhood, caller, api):
    a_customer(caller)
    a_customer(caller, "robinhood")
    assert api.post(PATH, SAID).status_code == 201
    other = api.post("/api/v1/brokers/robinhood/ratings", SAID)
    assert (other.status_code, other.json()["code"]) == (429, "throttled")
    statuses = [api.post(PATH, SAID).status_code for _ in range(10)]
    assert statuses == [200] * 9 + [429]


@pytest.mark.parametrize(
    "wrong",
    [
        {"overall": 6},
        {"overall": 0},
        {"overall": None},
        {"fees": 9},
        {"text": "x" * 2001},
        {"is_independent": False},
        {"text": "See https://example.com"},
        {"text": "see Example.COM/page"},
        {"text": "write to me@example.com"},
        {"text": "my account 1234-5678"},
        {"text": "call 555 123 4567"},
    ],
)
def test_what_breaks_the_rules_is_refused_in_words(schwab, caller, api, wrong):
    a_customer(caller)
    answer = api.post(PATH, SAID | wrong)
    assert answer.status_code == 400
    assert answer.json()["detail"]
    assert not BrokerRating.objects.exists()


@pytest.mark.parametrize(
    "text", ["Since 2021-03-04 no trouble.", "1,000,000 dollars, 4.9 of 5", "E*TRADE was worse", ""]
)
def test_dates_amounts_and_names_are_no_account_numbers(text):
    assert objection(text) == ""


def test_a_text_is_made_plain():
    assert cleaned(" a\r\nb\x00\u202ec\u200b ") == "a\nbc"


def test_a_text_is_shown_as_text_and_never_as_markup(schwab, web):
    published(schwab, 5, text="<script>alert(1)</script>")
    page = web.get("/compare/ratings/schwab/").content.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_a_rating_is_withdrawn_with_its_text_and_may_be_given_again(schwab, caller, api, operator):
    a_customer(caller)
    api.post(PATH, SAID)
    ratings.approve(BrokerRating.objects.get(), actor=operator)
    assert api.delete(PATH).status_code == 204
    assert api.get(PATH).json()["standing"]["count"] == 0
    assert BrokerRating.objects.get().text == ""
    assert not any(event.said for event in RatingEvent.objects.all()), "what was said is erased"
    assert api.delete(PATH).status_code == 409
    assert api.post(PATH, SAID).json()["state"] == "pending"


def test_ratings_go_with_the_account(schwab, caller, api):
    a_customer(caller)
    api.post(PATH, SAID)
    caller.delete()
    assert not RatingEvent.objects.exists()


def test_an_unknown_broker_is_answered_with_the_known_ones(schwab, robinhood, api):
    answer = api.get("/api/v1/brokers/nobody/ratings")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_broker")
    assert "Known are: robinhood, schwab." in answer.json()["detail"]
    assert api.post("/api/v1/brokers/nobody/ratings", SAID).status_code == 404


def test_reading_and_writing_need_scopes_of_their_own(schwab, caller, token_client):
    client = token_client(caller, Scope.COMPARE_READ)
    assert client.get(PATH).status_code == 200
    assert client.post(PATH, SAID).json()["code"] == "scope_missing"
    assert token_client(caller, Scope.PORTFOLIO_READ).get(PATH).status_code == 403


# --- Averages ---------------------------------------------------------------------------------------------------------
def test_the_average_is_moved_little_by_few_ratings():
    assert bayesian(Decimal("3.9"), Decimal(10), Decimal(2)) == 4  # two votes of 5.0: worked example T13


def test_below_five_ratings_only_their_number_is_told(schwab, api, web):
    published(schwab, 5, 5, 5, 1)
    standing = api.get(PATH).json()["standing"]
    assert (standing["count"], standing["average"], standing["mean"], standing["histogram"]) == (4, None, None, {})
    assert "Too few to show: 4 of at least 5 ratings" in web.get("/compare/ratings/").content.decode()


def test_from_five_on_average_mean_and_histogram_are_told(schwab, api, web):
    published(schwab, 5, 5, 4, 4, 1, fees=3)
    standing = api.get(PATH).json()["standing"]
    # (3.5 x 20 + 19) / 25
    assert (standing["count"], standing["average"], standing["mean"]) == (5, "3.56", "3.8")
    assert standing["histogram"] == {"5": 2, "4": 2, "3": 0, "2": 0, "1": 1}
    assert standing["aspects"] == {"fees": "3"}
    page = web.get("/compare/ratings/").content.decode()
    assert "of 5, from 5 ratings" in page


def test_an_author_who_has_long_left_counts_half(schwab):
    made = published(schwab, 5, 5, 5, 5, 1)
    made[-1].user.connections.update(last_success_at=timezone.now() - timedelta(days=200))
    standing = ratings.standing(schwab)
    assert (standing.count, standing.verified) == (5, 4)
    assert standing.average == (Decimal("3.5") * 20 + 20 + Decimal("0.5")) / (20 + 4 + Decimal("0.5"))


def test_with_fifty_ratings_their_own_mean_is_what_averages_begin_with(schwab, robinhood):
    people = [a_user() for _ in range(10)]
    brokers = [schwab, *(ComparisonBroker.objects.create(key=f"b{n}", name=f"B{n}") for n in range(4))]
    BrokerRating.objects.bulk_create(
        BrokerRating(user=person, broker=broker, overall=2, state="approved") for person in people for broker in brokers
    )
    assert ratings.standing(schwab).average == 2


def test_the_list_costs_the_same_queries_for_one_rating_as_for_many(schwab, robinhood, web):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            web.get("/compare/ratings/")
        return len(captured)

    published(schwab, 5)
    queries()  # the session's first request has queries of its own
    for_one = queries()
    published(schwab, 5, 4, 3)
    published(robinhood, 1, 2)
    assert queries() == for_one


def test_the_list_names_every_broker_those_with_something_to_show_first(schwab, robinhood, person, web):
    published(schwab, 5)
    page = web.get("/compare/ratings/").content.decode()
    assert page.index("Charles Schwab</a>") < page.index("No ratings yet</h2>") < page.rindex("Robinhood</a>")
    ComparisonBroker.objects.all().delete()
    assert "load_broker_catalogue" not in web.get("/compare/ratings/").content.decode(), "no command for customers"
    person.is_staff = True
    person.save()
    assert "load_broker_catalogue" in web.get("/compare/ratings/").content.decode()


# --- The page ---------------------------------------------------------------------------------------------------------
def test_a_customer_rates_changes_and_withdraws_on_the_page(schwab, person, web):
    page = web.get("/compare/ratings/schwab/").content.decode()
    assert "connect your account at Charles Schwab" in page
    a_customer(person)
    form = {"overall": "5", "text": "Good.", "is_independent": "on"}
    assert "checked against the rules" in web.post("/compare/ratings/schwab/", form, follow=True).content.decode()
    refused = web.post("/compare/ratings/schwab/", form | {"text": "www.spam.example"})
    assert refused.status_code == 400
    assert "Leave out links" in refused.content.decode()
    without = web.post("/compare/ratings/schwab/", {"overall": "5"})
    assert without.status_code == 400
    assert "Your rating is withdrawn" in web.post("/compare/ratings/schwab/withdraw", follow=True).content.decode()
    assert web.get("/compare/ratings/nobody/").status_code == 404
    assert "Known are: schwab" in web.get("/compare/ratings/nobody/").content.decode()


def test_a_name_is_shown_only_when_its_author_says_so_and_an_address_never(schwab, web):
    [shown, hidden] = published(schwab, 5, 4, text="Words.")
    User.objects.filter(pk=shown.user_id).update(name="Grace")
    User.objects.filter(pk=hidden.user_id).update(name="Linus")
    BrokerRating.objects.filter(pk=shown.pk).update(shows_name=True)
    page = web.get("/compare/ratings/schwab/").content.decode()
    assert "Grace" in page
    assert "Linus" not in page
    assert shown.user.email not in page


# --- Reports and moderation -------------------------------------------------------------------------------------------
def test_a_reader_reports_once_and_operators_see_it_first(schwab, web, person, sign_up, operator):
    rating = published(schwab, 1, text="Buy my book")[0]
    path = f"/compare/ratings/report/{rating.pk}"
    assert web.post(path, {"reason": ""}).status_code == 400
    assert "Thank you" in web.post(path, {"reason": "Advertising"}, follow=True).content.decode()
    assert "reported it before" in web.post(path, {"reason": "Advertising"}, follow=True).content.decode()
    assert rating.reports.count() == 1
    desk = sign_up(operator)
    assert "Buy my book" in desk.get("/admin/comparison/brokerrating/?reports=open").content.decode()


def test_only_published_ratings_of_others_can_be_reported(schwab, caller, api):
    a_customer(caller)
    api.post(PATH, SAID)
    own = BrokerRating.objects.get()
    assert api.post(f"{PATH}/{own.pk}/report", {"reason": "x"}).status_code == 409
    other = published(schwab, 1)[0]
    waiting, _ = ratings.submit(a_customer(), schwab, Opinion(overall=1))
    assert api.post(f"{PATH}/{waiting.pk}/report", {"reason": "Spam"}).status_code == 404
    assert api.post(f"{PATH}/{other.pk}/report", {"reason": "Spam"}).status_code == 204


def moderate(desk, action: str, *chosen: BrokerRating, reason: str = "") -> str:
    form = {"action": action, "_selected_action": [rating.pk for rating in chosen], "why": reason, "confirmed": "yes"}
    return str(desk.post("/admin/comparison/brokerrating/", form, follow=True).content.decode())


def test_operators_publish_reject_with_a_reason_and_hide_and_each_leaves_a_trace(schwab, sign_up, operator):
    first, _ = ratings.submit(a_customer(), schwab, Opinion(overall=5, text="One"))
    second, _ = ratings.submit(a_customer(), schwab, Opinion(overall=1, text="Two"))
    desk = sign_up(operator)
    assert "This field is required." in moderate(desk, "reject", second), "an author is told why"
    assert "is rejected" in moderate(desk, "reject", second, reason="Names a person")
    assert "is published" in moderate(desk, "approve", first)
    assert "cannot become" in moderate(desk, "reject", first, reason="Too late")
    assert "is hidden" in moderate(desk, "hide", first, reason="Reported")
    trail = RatingEvent.objects.exclude(action="written").order_by("pk").values_list("action", "actor__email", "reason")
    assert list(trail) == [
        ("rejected", operator.email, "Names a person"),
        ("approved", operator.email, ""),
        ("hidden", operator.email, "Reported"),
    ]
    assert ratings.standing(schwab).count == 0
    author = sign_up(second.user)
    assert "Names a person" in author.get("/compare/ratings/schwab/").content.decode()


def test_nobody_decides_about_their_own_and_staff_without_the_right_cannot_decide(schwab, sign_up, operator):
    own, _ = ratings.submit(a_customer(operator), schwab, Opinion(overall=5))
    assert "Somebody else has to decide" in moderate(sign_up(operator), "approve", own)
    helper = User.objects.create_user("helper@example.com", "correct horse battery", is_staff=True)
    assert sign_up(helper).post("/admin/comparison/brokerrating/", {"action": "approve"}).status_code == 403
    own.refresh_from_db()
    assert own.state == "pending"


@pytest.mark.parametrize("path", ["/compare/ratings/", "/compare/ratings/schwab/"])
def test_a_visitor_is_sent_to_sign_in(client, path):
    assert client.get(path)["Location"].startswith("/accounts/login/")

"""Deciding about rows as a person and as a program."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils.html import strip_tags

from aggregation import edits
from aggregation.handover import handover
from aggregation.models import BookStatus, PossibleDuplicate, Source, Transaction
from brokerhub.kernel.models import User
from connections.models import Account, ConnectionEvent
from sync.models import ImportFile
from tests.aggregation.factories import a_connection, a_record, an_account
from tests.aggregation.test_booking import book_api, book_file
from tests.aggregation.test_edits import HALVES
from tests.aggregation.test_near_matches import a_pair
from tests.aggregation.test_orders_and_executions import a_question
from tests.aggregation.test_undoing import a_run

pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture
def web(person: User, sign_up: Callable[[User], Client]) -> Client:
    return sign_up(person)


@pytest.fixture
def account(person: User) -> Account:
    return an_account(a_connection(person))


def counting(account: Account) -> int:
    return account.transactions.in_books().count()


def test_the_queue_shows_both_rows_with_the_reason_and_each_answer_can_be_undone(web: Client, account: Account) -> None:
    pair = a_pair(account)
    text = web.get("/portfolio/review/").content.decode()
    assert "settlement date of the other" in text
    assert text.count('class="differs"') >= 2
    decide = f"/portfolio/review/{pair.pk}"
    web.post(decide, {"do": "merge", "keep": pair.second_id})
    assert account.transactions.in_books().get() == pair.second
    assert "No possible duplicates" in web.get("/portfolio/review/").content.decode()
    assert "Undo this decision" in web.get("/portfolio/review/?show=decided").content.decode()
    web.post(decide, {"do": "undo"})
    web.post(decide, {"do": "keep"})
    assert counting(account) == 2
    assert ConnectionEvent.objects.filter(action="duplicate_decided").count() == 3


def test_a_question_names_the_file_a_row_came_in(web: Client, account: Account) -> None:
    book_api(account, a_record("1"))
    run = a_run(account, a_record(net_amount=Decimal("-1802.49")), source=Source.CSV)
    ImportFile.objects.create(run=run, account=account, name="march.csv", size=1, sha256="", content=b"-")
    assert web.get("/portfolio/review/").content.decode().count("File march.csv") == 2  # its column and its choice


def test_the_queue_by_the_api(web: Client, account: Account) -> None:
    pair = a_pair(account)
    place = "/api/v1/brokerage/duplicates"
    told = web.get(f"{place}?decision=open").json()["results"]
    assert [(row["id"], row["reasons"], row["first"]["id"]) for row in told] == [
        (pair.pk, ["settlement"], pair.first_id)
    ]
    merged = web.post(f"{place}/{pair.pk}/merge", {"keep": pair.second_id}, JSON).json()
    assert (merged["decision"], merged["kept"], counting(account)) == ("merged", pair.second_id, 1)
    assert web.post(f"{place}/{pair.pk}/keep").status_code == 409
    assert web.post(f"{place}/{pair.pk}/undo").json()["decision"] == "open"
    assert web.post(f"{place}/{pair.pk}/keep").json()["decision"] == "kept"


def test_an_order_stands_beside_its_executions_and_is_decided_with_one_answer(web: Client, account: Account) -> None:
    question = a_question(account)
    assert question.one is not None
    text = " ".join(web.get("/portfolio/review/").content.decode().split())
    assert "an order and its executions" in text
    assert (text.count("<article"), text.count(">Together<")) == (1, 1)
    decide = f"/portfolio/review/{question.pk}"
    web.post(decide, {"do": "merge", "keep": question.several[1].pk})
    assert counting(account) == 3
    assert "The same: the 3 rows count" in " ".join(web.get("/portfolio/review/?show=decided").content.decode().split())
    web.post(decide, {"do": "undo"})
    web.post(decide, {"do": "merge", "keep": question.one.pk})
    assert account.transactions.in_books().get() == question.one
    web.post(decide, {"do": "undo"})
    web.post(decide, {"do": "keep"})
    assert counting(account) == 4
    assert "all counted" in web.get("/portfolio/review/?show=decided").content.decode()
    follower = question.pairs[1]
    assert web.post(f"/portfolio/review/{follower.pk}", {"do": "undo"}).status_code == 404


def test_an_order_and_its_executions_by_the_api(web: Client, account: Account) -> None:
    question, place = a_question(account), "/api/v1/brokerage/duplicates"
    (told,) = web.get(f"{place}?decision=open").json()["results"]
    assert (told["id"], told["whole"], told["reasons"]) == (question.pk, question.whole_id, ["sum"])
    assert [row["id"] for row in told["several"]] == [row.pk for row in question.several]
    assert web.post(f"{place}/{question.pk}/merge", {"keep": 0}, JSON).status_code == 400
    assert web.post(f"{place}/{question.pk}/merge", {"keep": question.whole_id}, JSON).json()["decision"] == "merged"
    assert (counting(account), web.get(f"{place}?decision=open").json()["results"]) == (1, [])
    assert web.post(f"{place}/{question.pk}/undo").json()["decision"] == "open"
    merged = web.post(f"{place}/{question.pk}/merge", {"keep": question.several[2].pk}, JSON).json()
    assert (merged["decision"], counting(account)) == ("merged", 3)
    web.post(f"{place}/{question.pk}/undo")
    assert web.post(f"{place}/{question.pk}/keep").json()["decision"] == "kept"


def test_the_queue_costs_the_same_for_many(web: Client, account: Account, django_assert_max_num_queries) -> None:
    book_api(account, *(a_record(str(number), net_amount=Decimal(-number)) for number in range(1, 10)))
    book_file(account, *(a_record(net_amount=Decimal(-number) - Decimal("0.01")) for number in range(1, 10)))
    assert PossibleDuplicate.objects.count() == 9
    with django_assert_max_num_queries(11):
        assert web.get("/portfolio/review/").content.decode().count("<article") == 9


def test_a_stranger_meets_nothing_of_it(stranger: User, sign_up: Callable[[User], Client], account: Account) -> None:
    pair, other = a_pair(account), sign_up(stranger)
    assert other.post(f"/portfolio/review/{pair.pk}", {"do": "merge"}).status_code == 404
    assert other.post(f"/api/v1/brokerage/duplicates/{pair.pk}/merge", {}, JSON).status_code == 404
    for deed in ("note", "change", "split"):
        assert other.post(f"/portfolio/transactions/{pair.first_id}/{deed}", {"do": "exclude"}).status_code == 404
    assert other.patch(f"/api/v1/brokerage/transactions/{pair.first_id}", {}, JSON).status_code == 404
    assert "No possible duplicates" in other.get("/portfolio/review/").content.decode()
    assert counting(account) == 2


def test_a_row_gets_a_note_is_excluded_and_brought_back_on_its_pages(web: Client, account: Account) -> None:
    book_api(account, a_record("1"))
    row = account.transactions.get()
    page = f"/portfolio/transactions/{row.pk}/"
    web.post(f"{page}note", {"note": "for the house", "tags": "house, gift"})
    assert "for the house" in web.get(page).content.decode()
    assert account.edits.get().tags == ["house", "gift"]
    web.post(f"{page}change", {"do": "exclude"})
    assert counting(account) == 0
    listed = web.get("/portfolio/transactions/excluded/").content.decode()
    assert "Bring back" in listed
    web.post(f"{page}change", {"do": "bring_back", "list": "1"})
    assert counting(account) == 1
    assert "Nothing is excluded" in web.get("/portfolio/transactions/excluded/").content.decode()


def test_the_list_of_excluded_rows_goes_on_to_the_oldest(web: Client, account: Account) -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(27)]
    book_api(account, *(a_record(f"{number}", traded_on=on) for number, on in enumerate(days)))
    for row in account.transactions.all():
        edits.exclude(row, user=account.connection.user)
    first = web.get("/portfolio/transactions/excluded/").content.decode()
    assert re.findall(r">(\d+ Jan 2026)<", first) == [f"{number} Jan 2026" for number in range(27, 2, -1)]
    (older,) = re.findall(r'href="(\?after=[^"]+)"', first)
    last = web.get(f"/portfolio/transactions/excluded/{older}").content.decode()
    assert re.findall(r">(\d+ Jan 2026)<", last) == ["2 Jan 2026", "1 Jan 2026"]
    assert "Newest" in last
    assert "Older ones" not in last
    assert web.get("/portfolio/transactions/excluded/?after=nonsense_1").status_code == 404


def test_a_row_is_split_and_joined_on_its_pages(web: Client, account: Account) -> None:
    book_api(account, a_record("1"))
    row = account.transactions.get()
    page = f"/portfolio/transactions/{row.pk}/"
    form = {"form-TOTAL_FORMS": "4", "form-INITIAL_FORMS": "0"}
    wrong = web.post(f"{page}split", form | {"form-0-net_amount": "-1", "form-0-quantity": "10"})
    assert (wrong.status_code, counting(account)) == (422, 1)
    assert "two parts or more" in wrong.content.decode()
    for number, part in enumerate(HALVES):
        form |= {f"form-{number}-net_amount": str(part.net_amount), f"form-{number}-quantity": str(part.quantity)}
    web.post(f"{page}split", form)
    assert counting(account) == 2
    assert "Its parts" in web.get(page).content.decode()
    web.post(f"{page}change", {"do": "join"})
    assert account.transactions.in_books().get() == row


def test_a_row_is_edited_by_the_api_all_or_nothing(web: Client, account: Account) -> None:
    book_api(account, a_record("1"))
    row = account.transactions.get()
    place = f"/api/v1/brokerage/transactions/{row.pk}"
    told = web.patch(place, {"note": "mine", "tags": ["a"], "excluded": True}, JSON).json()
    assert (told["note"], told["tags"], told["status"]) == ("mine", ["a"], "excluded")
    halves = [{"net_amount": str(part.net_amount), "quantity": str(part.quantity)} for part in HALVES]
    assert web.patch(place, {"note": "lost", "parts": halves}, JSON).status_code == 409
    assert account.edits.get().note == "mine"
    told = web.patch(place, {"excluded": False, "parts": halves}, JSON).json()
    assert (told["status"], len(told["parts"]), counting(account)) == ("split", 2, 2)
    assert web.patch(place, {"parts": []}, JSON).json()["status"] == "posted"
    assert web.get("/api/v1/brokerage/transactions?status=excluded").json()["results"] == []


def test_the_account_says_where_its_files_end_and_the_feed_begins(web: Client, account: Account) -> None:
    page = f"/portfolio/accounts/{account.pk}/"
    book_api(account, a_record("1"))
    assert "feed begins" not in web.get(page).content.decode()
    book_file(account, a_record())
    body = web.get(page).content.decode()
    text = " ".join(strip_tags(body).split())
    assert "the broker's feed begins 2 Mar 2026" in text
    assert "1 row came from both and counts once" in text
    told_twice = f"/portfolio/transactions/?account={account.pk}&status=duplicate"
    assert told_twice.replace("&", "&amp;") in body
    assert web.get(told_twice).context["transactions"] == [Transaction.objects.get(status=BookStatus.DUPLICATE)]
    assert handover(account).told_twice == 1


def test_a_merged_row_names_the_one_that_counts(web: Client, account: Account) -> None:
    pair = a_pair(account)
    web.post(f"/portfolio/review/{pair.pk}", {"do": "merge"})
    loser = Transaction.objects.get(status=BookStatus.DUPLICATE)
    assert "told twice" in web.get(f"/portfolio/transactions/{loser.pk}/").content.decode()


def test_a_part_leads_to_its_whole(web: Client, account: Account) -> None:
    book_api(account, a_record("1"))
    part = edits.split(account.transactions.get(), HALVES, user=account.connection.user)[0]
    assert "See the whole" in web.get(f"/portfolio/transactions/{part.pk}/").content.decode()


def test_a_decision_leads_on_to_the_next_question_and_its_undoing_back_to_it(web: Client, account: Account) -> None:
    book_api(account, *(a_record(str(number), net_amount=Decimal(-number)) for number in range(1, 4)))
    book_file(account, *(a_record(net_amount=Decimal(-number) - Decimal("0.01")) for number in range(1, 4)))
    oldest, middle, newest = PossibleDuplicate.objects.order_by("pk")
    after = web.post(f"/portfolio/review/{newest.pk}", {"do": "merge"})
    assert after["Location"] == f"/portfolio/review/#pair-{middle.pk}"
    text = web.get("/portfolio/review/").content.decode()
    assert "2 questions wait" in " ".join(text.split())
    assert f'action="/portfolio/review/{newest.pk}"' in text
    assert "Undo the last decision" in text
    back = web.post(f"/portfolio/review/{newest.pk}", {"do": "undo"})
    assert back["Location"] == f"/portfolio/review/#pair-{newest.pk}"
    assert web.post(f"/portfolio/review/{oldest.pk}", {"do": "keep", "before": "x"})["Location"] == "/portfolio/review/"


def listed(web: Client, query: str) -> list[int]:
    """Rows on the page, which are those in the API."""
    told = web.get(f"/api/v1/brokerage/transactions?{query}").json()["results"]
    shown = [row.pk for row in web.get(f"/portfolio/transactions/?{query}").context["transactions"]]
    assert shown == [row["id"] for row in told]
    return shown


def test_tags_and_notes_are_found_by_filter_search_and_export(web: Client, account: Account, stranger: User) -> None:
    book_api(account, a_record("1"), a_record("2"))
    first, second = account.transactions.order_by("pk")
    edits.annotate(first, user=account.connection.user, note="for the house", tags=["House", "gift"])
    theirs = an_account(a_connection(stranger))
    book_api(theirs, a_record("1"))
    edits.annotate(theirs.transactions.get(), user=stranger, note="a house too", tags=["house", "secret"])
    for query in ("tag=House", "tag=house", "q=the+house", "q=GIF"):
        assert listed(web, query) == [first.pk], query
    assert listed(web, "tag=hous") == listed(web, "tag=secret") == []
    assert listed(web, "") == [second.pk, first.pk]
    told = web.get("/api/v1/brokerage/transactions?tag=gift").json()["results"][0]
    assert (told["note"], told["tags"]) == ("for the house", ["House", "gift"])
    page = web.get("/portfolio/transactions/").content.decode()
    assert '<option value="gift">' in page
    assert "secret" not in page
    exported = web.get("/portfolio/transactions.csv?tag=gift").getvalue().decode()
    assert exported.count("\n") == 2
    assert 'for the house,"House, gift"' in exported


def test_rows_that_do_not_count_are_listed_by_their_status(web: Client, account: Account) -> None:
    pair = a_pair(account)
    web.post(f"/portfolio/review/{pair.pk}", {"do": "merge", "keep": pair.first_id})
    assert listed(web, "") == [pair.first_id]
    assert listed(web, "status=duplicate") == [pair.second_id]
    page = web.get("/portfolio/transactions/?status=duplicate").content.decode()
    assert "The other row of each counts" in page
    book_api(account, a_record("1", net_amount=Decimal("-1803.00")))
    assert listed(web, "status=superseded") == [pair.first_id]


def test_a_row_says_which_run_told_it_last(web: Client, account: Account) -> None:
    first, again = (a_run(account, a_record("1")) for _ in range(2))
    row = account.transactions.get()
    text = web.get(f"/portfolio/transactions/{row.pk}/").content.decode()
    assert f"run {again.pk}</a>" in text
    assert listed(web, f"run={first.pk}") == [row.pk]

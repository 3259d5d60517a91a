"""Scores others published: imported with date and document, shown as published, never in the hub's own average."""

from decimal import Decimal

import pytest
from django.urls import reverse

from comparison.models import ComparisonBroker, ExternalRating
from tests.comparison.report_samples import refusal, run

pytestmark = pytest.mark.django_db
HEADER = "broker,publisher,kind,value,scale_min,scale_max,count,as_of,title,url\n"
STORE = "schwab,App store,votes,4.6,1,5,1200,2026-10-01,Schwab Mobile,https://example.com/app\n"
EDITORS = "schwab,A magazine,editorial,8,0,10,,2026-11-02,Best brokers 2026,\n"


@pytest.fixture(autouse=True)
def schwab() -> ComparisonBroker:
    return ComparisonBroker.objects.create(key="schwab", name="Charles Schwab", role="integrated")


def file(folder, *rows: str):
    path = folder / "scores.csv"
    path.write_text(HEADER + "".join(rows))
    return path


def test_scores_are_stored_and_importing_again_changes_nothing(tmp_path):
    assert "2 scores added" in run("import_ratings", file(tmp_path, STORE, EDITORS))
    before = list(ExternalRating.objects.order_by("pk").values())
    assert "0 scores added, 0 changed, 2 known already" in run("import_ratings", file(tmp_path, STORE, EDITORS))
    assert list(ExternalRating.objects.order_by("pk").values()) == before
    assert "1 changed" in run("import_ratings", file(tmp_path, STORE.replace("4.6", "4.5")))


def test_another_date_is_another_score(tmp_path):
    run("import_ratings", file(tmp_path, STORE, STORE.replace("2026-10-01", "2026-11-01")))
    assert ExternalRating.objects.count() == 2


def test_a_score_is_rescaled_beside_what_was_published(tmp_path, api):
    run("import_ratings", file(tmp_path, EDITORS))
    [score] = api.get("/api/v1/brokers/schwab/ratings").json()["external"]
    assert (score["value"], score["scale_max"], score["of_five"], score["count"]) == ("8", "10", "4.2", None)


def test_scores_stand_on_the_page_with_author_date_and_document_apart_from_the_average(tmp_path, web):
    run("import_ratings", file(tmp_path, STORE.replace("2026-10-01", "2026-01-05")))
    page = " ".join(web.get("/compare/ratings/").content.decode().split())
    assert "No ratings yet" in page, "the hub's own stay none"
    for told in ("App store", "4.6 of 5", "Votes of users, 1200, 2026-01-05", "https://example.com/app", ">Old<"):
        assert told in page, told


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("schwab,", "swab,", "there is no broker 'swab'; known are: schwab"),
        ("votes", "guess", "kind is votes or editorial"),
        ("4.6", "6", "the value 6 is not within its scale"),
        ("4.6", "many", "value 'many' is not a number"),
        ("4.6", "NaN", "value 'NaN' is not a number"),
        (",1,5,", ",5,5,", "scale_min is not below scale_max"),
        ("1200", "", "votes need a count"),
        ("1200", "-3", "votes need a count"),
        ("2026-10-01", "", "a score needs its date"),
        ("2026-10-01", "01.10.2026", "a score needs its date"),
        ("2026-10-01", "2099-01-01", "lies ahead"),
        ("Schwab Mobile", "", "a score needs the title"),
        ("https://example.com/app", "javascript:alert(1)", "url"),
        ("App store", "x" * 81, "publisher"),
    ],
)
def test_a_wrong_row_is_told_with_its_line_and_nothing_is_stored(tmp_path, old, new, said):
    refused = refusal("import_ratings", file(tmp_path, EDITORS, STORE.replace(old, new, 1)))
    assert said in refused
    assert "line 3" in refused
    assert not ExternalRating.objects.exists()


@pytest.mark.parametrize("content", ["", "a,b,c\n", HEADER + "schwab,too,few\n", HEADER + '"cut\n', HEADER + STORE * 2])
def test_what_is_no_list_of_scores_is_refused(tmp_path, content):
    path = tmp_path / "odd.csv"
    path.write_text(content)
    assert refusal("import_ratings", path)
    assert not ExternalRating.objects.exists()


def test_editors_scores_have_no_count(tmp_path):
    wrong = EDITORS.replace("10,,", "10,5,")
    assert "leave count empty" in refusal("import_ratings", file(tmp_path, wrong))


def test_the_catalogues_undated_score_says_so(web):
    ComparisonBroker.objects.create(key="ibkr", name="Interactive Brokers", role="integrated")
    assert "1 scores added" in run("import_ratings", None)
    assert "0 scores added, 0 changed, 1 known" in run("import_ratings", None)
    score = ExternalRating.objects.get()
    assert (score.publisher, score.value, score.as_of) == ("BrokerChooser", Decimal("4.9"), "")
    assert "date unknown" in web.get("/compare/ratings/").content.decode()


def test_an_operator_enters_a_score_only_with_a_date(client, django_user_model, schwab, tmp_path):
    run("import_ratings", file(tmp_path, EDITORS))
    score = ExternalRating.objects.get()
    client.force_login(django_user_model.objects.create_superuser("root@example.com", "correct horse battery"))
    form = {
        "source": score.source_id, "confidence": "reported", "broker": schwab.pk, "publisher": "Another",
        "kind": "votes", "value": "4", "scale_min": "1", "scale_max": "5", "count": "10", "as_of": "",
    }  # fmt: skip
    address = reverse("admin:comparison_externalrating_add")
    assert "needs the date" in client.post(address, form).content.decode()
    assert client.post(address, form | {"as_of": "2026-11-01"}).status_code == 302
    assert ExternalRating.objects.filter(publisher="Another").exists()

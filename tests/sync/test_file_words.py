"""A word of a file that the hub does not know: said once, for this file, for later ones and for the broker's feed."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from rest_framework.test import APIClient

from aggregation import edits
from aggregation.models import PossibleDuplicate, Transaction
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections.brokers.records import ParkedRecord, TransactionKind
from connections.models import Account
from sync import file_words, importers, rereading, tasks, undoing, word_rules
from sync.models import ImportFile, ParkedRow, SyncRun, WordRule
from tests.aggregation.factories import a_connection, an_account
from tests.sync.test_word_rules import a_row, wait_for_a_rule
from tests.sync.wizard import SCHWAB, import_now, ready, states, text_of

K = TransactionKind
RULES = "/api/v1/brokerage/parked/rules"
SCHWAB_FORMAT = importers.FORMATS["schwab_brokerage"]
ODD = '"06/11/2026","ADR Adj","","NOKIA ADR","","","","-$2.00"\n'
ODD_TOO = '"06/12/2026","ADR Adj","","NOKIA ADR","","","","-$3.00"\n'
FEE = '"06/11/2026","Service Fee","","FEE","","","","-$2.00"\n'


@pytest.fixture
def account(person: User) -> Account:
    return an_account(a_connection(person))


def in_books(**fields: Any) -> list[tuple[str, Decimal]]:
    rows = Transaction.objects.in_books().filter(**fields).order_by("traded_on", "kind", "pk")
    return list(rows.values_list("kind", "net_amount"))


def finish(runs: list[SyncRun]) -> None:
    for run in runs:
        tasks.import_file(run.pk)
        run.refresh_from_db()


def test_a_word_said_at_its_row_counts_for_the_file_at_once_and_for_the_next_one(web: Client, account: Account) -> None:
    draft = ready(web, account, SCHWAB + ODD + FEE)
    assert states(draft) == {2: "warning", 3: "valid"}
    assert "Always treat “ADR Adj” as …" in text_of(web, f"/sync/import/{draft.pk}/rows/")
    reply = web.post(f"/sync/import/{draft.pk}/rows/2/word?state=warning", {"kind": "fee"})
    assert reply.headers["Location"].endswith("rows/?state=warning#line-2")
    page = text_of(web, f"/sync/import/{draft.pk}/rows/")
    assert "“ADR Adj” is always treated as “Fee” from now on." in page
    assert "Always treat" not in page
    assert states(draft) == {2: "valid", 3: "valid"}
    import_now(web, draft)
    assert in_books() == [("fee", Decimal(-2)), ("fee", Decimal(-2))]  # two equal fees of one day stay two
    again = ready(web, account, SCHWAB + ODD_TOO.replace("ADR Adj", "ADR ADJ"))
    assert states(again) == {2: "valid"}
    assert ready(web, account, SCHWAB + ODD + FEE).rows.filter(state="duplicate").count() == 2


def test_where_words_are_prose_the_person_says_how_they_begin(web: Client, account: Account) -> None:
    head = "Run Date,Account,Action,Symbol,Description,Type,Quantity,Price ($),Commission ($),Fees ($),"
    head += "Accrued Interest ($),Amount ($),Settlement Date\n"
    june = "06/10/2026,X1,ODD CHARGE FOR JUNE,,No Description,Cash,,,,,,-5.00,\n"
    draft = ready(web, account, f"\n\n{head}{june}{june.replace('06/', '07/').replace('JUNE', 'JULY')}")
    (first, second) = states(draft)
    assert set(states(draft).values()) == {"warning"}
    address = f"/sync/import/{draft.pk}/rows/{first}/word"
    refused = web.post(address, {"kind": "fee", "word": "SOMETHING ELSE"}, follow=True)
    assert "The row does not begin with “SOMETHING ELSE”." in refused.content.decode()
    web.post(address, {"kind": "fee", "word": "Odd charge"})
    assert states(draft) == {first: "valid", second: "valid"}
    rule = WordRule.objects.get()
    assert (rule.institution, rule.word, rule.field) == ("Fidelity", "Odd charge", "")


def test_a_word_may_mean_a_purchase_since_a_file_says_its_units(web: Client, account: Account) -> None:
    row = '"06/11/2026","Grant Buy","KO","COCA COLA","3","$60.00","","-$180.00"\n'
    draft = ready(web, account, SCHWAB + row)
    web.post(f"/sync/import/{draft.pk}/rows/2/word", {"kind": "buy"})
    import_now(web, draft)
    bought = Transaction.objects.select_related("instrument").get()
    assert (bought.kind, bought.quantity, bought.subtype) == ("buy", 3, "Grant Buy")


def test_the_rule_reaches_rows_of_the_feed_that_wait_and_new_ones(account: Account, person: User) -> None:
    wait_for_a_rule(account, a_row("1", type="adr adj"), a_row("2", type="X", description="ADR Adj"), a_row("3"))
    rule, applied = file_words.remember(person, SCHWAB_FORMAT, "ADR Adj", K.FEE)
    assert (applied.booked, rule.field) == (2, "")
    assert {row.external_id for row in ParkedRow.objects.waiting()} == {"3"}
    new: list[ParkedRecord] = [a_row("9", type="ADR ADJ")]
    records, left = word_rules.understood(account, new, word_rules.rules_for(account))
    assert ([record.kind for record in records], left) == ([K.FEE], [])


# --- Rows booked before -----------------------------------------------------------------------------------------------
def test_rows_kept_as_other_are_corrected_by_reading_their_file_again_and_put_back(
    web: Client, account: Account, person: User
) -> None:
    first = import_now(web, ready(web, account, SCHWAB + ODD + FEE + ODD_TOO))
    noted = Transaction.objects.get(kind="other", net_amount=-3)
    edits.annotate(noted, user=person, note="ask them")
    before = in_books()
    assert before == [("fee", Decimal(-2)), ("other", Decimal(-2)), ("other", Decimal(-3))]
    rule, _ = file_words.remember(person, SCHWAB_FORMAT, "ADR Adj", K.FEE)
    assert "2 rows imported before are kept as “other”." in text_of(web, "/sync/parked/")
    assert web.post(f"/sync/parked/rules/{rule.pk}/reread").status_code == 302
    run = SyncRun.objects.latest("pk")
    finish([run])
    assert (run.state, run.fetched, run.inserted, run.matched) == ("succeeded", 3, 2, 1)
    assert any("2 rows that were kept as “other”" in warning for warning in run.warnings)
    fees = [("fee", Decimal(-2)), ("fee", Decimal(-2)), ("fee", Decimal(-3))]
    assert in_books() == fees
    assert Transaction.objects.get(edit__note="ask them").kind == "fee"  # what the person wrote goes along
    noted.refresh_from_db()
    assert noted.superseded_by is not None
    assert not PossibleDuplicate.objects.waiting().exists()
    page = text_of(web, "/sync/parked/")
    assert "kept as “other”" not in page
    assert "Forget and put back" in page
    for content in (SCHWAB + ODD + FEE + ODD_TOO, SCHWAB + ODD_TOO):  # the same rows again add nothing
        assert import_now(web, ready(web, account, content)).inserted == 0
    undoing.undo(SyncRun.objects.order_by("-pk")[0], actor=person)
    undoing.undo(SyncRun.objects.order_by("-pk")[1], actor=person)
    web.post(f"/sync/parked/rules/{rule.pk}/forget", {"put_back": "on"})
    assert in_books() == before
    assert Transaction.objects.get(edit__note="ask them") == noted
    assert not WordRule.objects.exists()
    undoing.reapply(run, actor=person)
    assert in_books() == fees
    assert import_now(web, ready(web, account, SCHWAB + FEE)).inserted == 0
    assert first.transactions.count() == 3  # nothing is ever deleted


def test_another_export_of_the_same_days_corrects_what_it_tells_and_doubles_nothing(
    web: Client, account: Account, person: User
) -> None:
    import_now(web, ready(web, account, SCHWAB + ODD + ODD_TOO))
    file_words.remember(person, SCHWAB_FORMAT, "ADR Adj", K.FEE)
    draft = ready(web, account, SCHWAB + ODD_TOO + FEE)
    assert "takes the place of the row that was kept as “other”" in text_of(web, f"/sync/import/{draft.pk}/rows/")
    run = import_now(web, draft)
    assert in_books() == [("fee", Decimal(-2)), ("other", Decimal(-2)), ("fee", Decimal(-3))]
    undoing.undo(run, actor=person)
    assert in_books() == [("other", Decimal(-2)), ("other", Decimal(-3))]


def test_an_excluded_row_stays_excluded_under_its_new_kind(web: Client, account: Account, person: User) -> None:
    import_now(web, ready(web, account, SCHWAB + ODD))
    edits.exclude(Transaction.objects.get(), user=person)
    rule, _ = file_words.remember(person, SCHWAB_FORMAT, "ADR Adj", K.FEE)
    assert rereading.counts_of_earlier(person, [rule]) == {rule.pk: 0}  # it counts nowhere
    import_now(web, ready(web, account, SCHWAB + ODD + FEE.replace("2.00", "9.00")))
    assert in_books() == [("fee", Decimal(-9))]


def test_a_word_of_one_house_says_nothing_about_another(person: User, stranger: User) -> None:
    file_words.remember(person, importers.FORMATS["fidelity"], "ADR Adj", K.FEE)
    assert file_words.known_to(person, importers.FORMATS["fidelity"]) == {"adr adj": K.FEE}
    assert file_words.known_to(person, SCHWAB_FORMAT) == file_words.known_to(person, importers.FORMATS["saxo"]) == {}
    assert file_words.known_to(stranger, importers.FORMATS["fidelity"]) == {}


@pytest.mark.parametrize(("word", "kind"), [("", K.FEE), ("x" * 201, K.FEE), ("a\0b", K.FEE), ("Odd", K.FX)])
def test_what_is_no_word_or_no_kind_for_one_is_refused(person: User, word: str, kind: TransactionKind) -> None:
    with pytest.raises(NotAllowed):
        file_words.remember(person, SCHWAB_FORMAT, word, kind)


# --- Programs ---------------------------------------------------------------------------------------------------------
def test_programs_say_what_a_word_means_and_correct_what_was_booked_before(
    account: Account, person: User, stranger: User, token_client: Callable[..., APIClient], web: Client
) -> None:
    import_now(web, ready(web, account, SCHWAB + ODD))
    own, other = token_client(person), token_client(stranger)

    def tried() -> dict[str, Any]:
        file = {"file": SimpleUploadedFile("a.csv", (SCHWAB + ODD).encode()), "account": account.pk}
        return dict(own.post("/api/v1/brokerage/import?dry_run=1", file, format="multipart").json())

    assert [row["word"] for row in tried()["rows"]] == ["ADR Adj"]
    wish = {"format": tried()["format"], "word": "ADR Adj", "kind": "fee"}
    assert own.post(RULES, {**wish, "field": "type"}).status_code == 400
    made = own.post(RULES, wish).json()
    assert (made["booked"], made["earlier"], made["rule"]["field"]) == (0, 1, "")
    assert [(row["state"], row["word"]) for row in tried()["rows"]] == [("warning", "")]
    address = f"{RULES}/{made['rule']['id']}"
    assert other.post(f"{address}/reread").status_code == 404
    answer = own.post(f"{address}/reread")
    assert answer.status_code == 202
    finish([SyncRun.objects.get(pk=run["id"]) for run in answer.json()["runs"]])
    assert in_books() == [("fee", Decimal(-2))]
    assert own.post(f"{address}/reread").status_code == 409
    assert own.delete(f"{address}?put_back=1").status_code == 204
    assert in_books() == [("other", Decimal(-2))]
    assert not ImportFile.objects.exclude(rule=None).exists()

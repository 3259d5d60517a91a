"""A file from the drop zone to the books, page by page, as a person meets it."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import Q
from django.test import Client
from django.utils import timezone

from aggregation.models import Transaction
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections.models import Account, Connection
from sync import drafts, tasks
from sync.import_models import DraftRow, DraftState, ImportDraft, MappingTemplate
from sync.models import RunState, SyncRun
from tests.aggregation.factories import a_connection, an_account
from tests.sync.samples import fixture
from tests.sync.wizard import MIXED, SCHWAB, answer, import_now, map_all, ready, states, text_of, upload


@pytest.fixture
def account(person: User) -> Account:
    return an_account(a_connection(person))


# --- The whole way ----------------------------------------------------------------------------------------------------
def test_a_known_file_goes_to_the_books_and_nothing_is_written_before(web: Client, account: Account) -> None:
    draft = upload(web, fixture("schwab-brokerage.csv"), "schwab.csv")
    page = text_of(web, f"/sync/import/{draft.pk}/")
    assert "The file has the title and all columns of Schwab&#x27;s export." in page
    assert f'<option value="{account.pk}" selected>' in page  # the only one at Schwab
    assert answer(web, draft, account_0=account.pk).endswith("/rows/")
    page = text_of(web, f"/sync/import/{draft.pk}/rows/")
    assert "Import 10 rows" in page
    assert "tell no transaction" in page or "tells no transaction" in page
    assert (Transaction.objects.count(), SyncRun.objects.count()) == (0, 0)
    run = import_now(web, draft)
    assert (run.state, run.inserted) == (RunState.SUCCEEDED, 10)
    assert not ImportDraft.objects.exists()
    draft = ready(web, account, fixture("schwab-brokerage.csv"))
    assert set(states(draft).values()) == {"duplicate"}
    assert "There is nothing new in this file. The books have 10 of its rows already." in text_of(
        web, f"/sync/import/{draft.pk}/rows/"
    )


def test_a_draft_is_there_after_a_reload_and_can_be_discarded(web: Client, account: Account) -> None:
    draft = ready(web, account, fixture("schwab-brokerage.csv"), "mine.csv")
    page = text_of(web, "/sync/import/")
    assert "Unfinished imports" in page
    assert f"/sync/import/{draft.pk}/rows/" in page
    web.post(f"/sync/import/{draft.pk}/discard")
    assert not ImportDraft.objects.exists()
    assert not DraftRow.objects.exists()


def test_an_import_confirmed_twice_at_once_is_queued_once_and_says_so(web: Client, account: Account) -> None:
    draft = ready(web, account, fixture("schwab-brokerage.csv"))
    late = ImportDraft.objects.get(pk=draft.pk)  # the second click found the draft before the first ended it
    drafts.confirm(draft)
    with pytest.raises(NotAllowed, match="already"):
        drafts.confirm(late)
    with pytest.raises(NotAllowed, match="already"):
        drafts.leave_out(late, Q(), is_left_out=True)
    assert SyncRun.objects.count() == 1


def test_an_abandoned_draft_goes_after_a_day_and_a_touched_one_stays(web: Client, account: Account) -> None:
    old, touched = (ready(web, account, fixture("schwab-brokerage.csv")) for _ in range(2))
    ImportDraft.objects.update(touched_at=timezone.now() - timedelta(hours=25))
    web.post(f"/sync/import/{touched.pk}/choose", {"do": "leave_out", "line": list(states(touched))[:1]})
    tasks.look_after_drafts()
    assert list(ImportDraft.objects.values_list("pk", flat=True)) == [touched.pk]
    assert web.get(f"/sync/import/{old.pk}/").status_code == 404


def test_a_new_account_is_made_only_when_the_import_is_confirmed(web: Client, person: User) -> None:
    draft = upload(web, fixture("schwab-brokerage.csv"))
    answer(web, draft, name_0="Old account")
    assert not Connection.objects.exists()
    assert import_now(web, draft).inserted == 10
    assert Account.objects.get(connection__user=person).name == "Old account"
    again = upload(web, fixture("schwab-brokerage.csv"))
    answer(web, again, name_0="Old account")  # the same name is the same account
    assert set(states(again).values()) == {"duplicate"}


def test_an_account_needs_a_name_and_cannot_be_somebody_elses(web: Client, stranger: User) -> None:
    foreign = an_account(a_connection(stranger))
    draft = upload(web, fixture("schwab-brokerage.csv"))
    nameless = web.post(f"/sync/import/{draft.pk}/", {"format": draft.format, "name_0": " "})
    assert nameless.status_code == 422
    assert "Give the new account a name, or choose one of your accounts." in nameless.content.decode()
    other = web.post(f"/sync/import/{draft.pk}/", {"format": draft.format, "account_0": foreign.pk})
    assert other.status_code == 422
    assert not SyncRun.objects.exists()


def test_a_connection_removed_in_the_meantime_stops_the_import_in_words(web: Client, account: Account) -> None:
    draft = ready(web, account, fixture("schwab-brokerage.csv"))
    Connection.objects.update(state="disconnected")
    assert "takes no files any more" in web.post(f"/sync/import/{draft.pk}/confirm").content.decode()
    assert not SyncRun.objects.exists()


# --- Questions --------------------------------------------------------------------------------------------------------
def test_what_a_file_leaves_open_is_asked_with_its_own_examples(web: Client, account: Account) -> None:
    draft = upload(web, "Date,Type,Symbol,Shares,Price,Total\n03/04/2026,Buy,KO,2,60.00,-120.00\n")
    map_all(web, draft)
    draft.refresh_from_db()
    page = text_of(web, f"/sync/import/{draft.pk}/")
    assert "Does the day or the month come first" in page
    assert "It cannot be told from 03/04/2026." in page
    assert "03 April 2026" in page
    assert "04 March 2026" in page
    web.post(f"/sync/import/{draft.pk}/", {"format": "mapped", "account_0": account.pk})
    draft.refresh_from_db()
    assert draft.state == DraftState.CHOOSING  # unanswered
    said = {"date_order": "dmy", "currency": "USD"}
    answer(web, draft, account_0=account.pk, **{q["about"]: said[q["about"]] for q in draft.found["questions"]})
    assert draft.state == DraftState.READY
    import_now(web, draft)
    assert f"{Transaction.objects.get().traded_on}" == "2026-04-03"


# --- Several accounts -------------------------------------------------------------------------------------------------
def test_each_account_of_a_file_gets_one_of_ours(web: Client, account: Account) -> None:
    draft = upload(web, fixture("two-accounts.csv"))
    assert draft.found["hints"] == ["X11112222", "Z33334444"]
    page = text_of(web, f"/sync/import/{draft.pk}/")
    assert "Account for the rows of X11112222" in page
    answer(web, draft, account_0=account.pk, name_1="My second")
    web.post(f"/sync/import/{draft.pk}/confirm")
    runs = list(SyncRun.objects.order_by("pk"))
    for run in runs:
        tasks.import_file(run.pk)
        run.refresh_from_db()
    assert [(run.state, run.inserted) for run in runs] == [("succeeded", 2), ("succeeded", 1)]
    assert Transaction.objects.filter(account=account).count() == 2
    assert Transaction.objects.get(account__name="My second").net_amount == 7
    again = upload(web, fixture("two-accounts.csv"))
    known = {hint: Account.objects.get(pk=pk).name for hint, pk in again.found["proposals"].items()}
    assert known == {"X11112222": account.name, "Z33334444": "My second"}  # as last time


# --- Unknown files ----------------------------------------------------------------------------------------------------
UNKNOWN = (
    "My broker's export;;;;;\n"
    "Tag;Vorgang;Papier;Anzahl;Kurs;Wert\n"
    "31.01.2026;Kauf;SAP;10;100,50;-1.005,00\n"
    "28.02.2026;Bonus;SAP;;;12,25\n"
    "27.02.2026;Dividende;SAP;;;22,00\n"
)
FIELDS = {"Tag": "date", "Vorgang": "word", "Papier": "symbol", "Anzahl": "quantity", "Kurs": "price", "Wert": "amount"}


def test_an_unknown_table_is_mapped_by_hand_once_and_known_the_next_time(web: Client, account: Account) -> None:
    draft = upload(web, UNKNOWN)
    assert (draft.format, draft.state) == ("", DraftState.CHOOSING)
    assert "does not know this file's layout" in text_of(web, f"/sync/import/{draft.pk}/")
    page = text_of(web, f"/sync/import/{draft.pk}/columns/")
    assert "31.01.2026 · 28.02.2026 · 27.02.2026" in page
    columns = {f"column_{at}": field for at, field in enumerate(FIELDS.values())}
    map_all(web, draft, currency="eur", **columns)
    draft.refresh_from_db()
    assert draft.mapping is not None
    assert draft.mapping["words"] == {"Kauf": "buy", "Dividende": "dividend"}
    answer(web, draft, account_0="", name_0="Depot")
    assert states(draft) == {3: "valid", 4: "warning", 5: "valid"}
    import_now(web, draft)
    bought = Transaction.objects.get(kind="buy")
    assert (f"{bought.traded_on}", bought.quantity, bought.net_amount, bought.currency) == (
        "2026-01-31",
        10,
        -1005,
        "EUR",
    )
    assert Connection.objects.get(method="file").label == "Another broker, by file"
    again = upload(web, UNKNOWN + "01.03.2026;Kauf;SAP;1;100,50;-100,50\n")
    assert again.format == "mapped"
    answer(web, again, name_0="Depot")
    assert sorted(states(again).values()) == ["duplicate", "duplicate", "duplicate", "valid"]


def test_a_mapping_belongs_to_its_person(web: Client, stranger_web: Client, account: Account) -> None:
    draft = upload(web, "Date,Type,Symbol,Shares,Price,Total\n03/14/2026,Buy,KO,2,60.00,-120.00\n")
    map_all(web, draft, currency="USD")
    assert MappingTemplate.objects.get().user == account.connection.user
    assert upload(stranger_web, bytes(draft.content)).format == ""


def test_a_mapping_without_a_date_says_what_is_missing(web: Client) -> None:
    draft = upload(web, UNKNOWN)
    page = web.post(f"/sync/import/{draft.pk}/columns/", {"column_5": "amount", "amounts": "signed"})
    assert page.status_code == 422
    assert "Say which column is the date." in page.content.decode()


# --- Large files ------------------------------------------------------------------------------------------------------
def test_a_large_file_is_checked_by_a_worker_while_the_page_waits(web: Client, account: Account, settings: Any) -> None:
    settings.IMPORT_CHECK_AT_ONCE_BYTES = 10
    draft = upload(web, fixture("schwab-brokerage.csv"))
    assert draft.state == DraftState.CHECKING
    page = text_of(web, f"/sync/import/{draft.pk}/")
    assert "Reading the file and comparing it with the books" in page
    waits = web.get(f"/sync/import/{draft.pk}/checking", headers={"HX-Request": "true"})
    assert "hx-trigger" in waits.content.decode()
    assert web.post(f"/sync/import/{draft.pk}/confirm").status_code == 409
    tasks.check_draft(str(draft.pk))
    done = web.get(f"/sync/import/{draft.pk}/checking", headers={"HX-Request": "true"})
    assert done.headers["HX-Redirect"].endswith("/rows/")
    draft.refresh_from_db()
    answer(web, draft, account_0=account.pk)
    tasks.check_draft(str(draft.pk))
    tasks.check_draft(str(draft.pk))  # a message may come twice
    assert len(states(draft)) == 10


def test_a_check_whose_worker_died_is_sent_again_and_given_up_in_words(
    web: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IMPORT_CHECK_AT_ONCE_BYTES = 10
    draft = upload(web, fixture("schwab-brokerage.csv"))
    assert drafts.check_overdue() == 0
    ImportDraft.objects.update(sent_at=timezone.now() - timedelta(minutes=11), attempts=3)
    assert drafts.check_overdue() == 1
    tasks.check_draft(str(draft.pk))
    draft.refresh_from_db()
    assert (draft.state, draft.error[:24]) == (DraftState.CHOOSING, "Checking this file was i")


def test_a_check_of_an_older_version_writes_nothing(web: Client, account: Account, settings: Any) -> None:
    draft = ready(web, account, MIXED)
    settings.IMPORT_CHECK_AT_ONCE_BYTES = 10
    stale = ImportDraft.objects.get(pk=draft.pk)
    drafts.mend(stale, 5, {0: "06/13/2026"}, ["13/45/2026"])
    assert states(draft)[5] == "error"  # until the check of the new version
    tasks.check_draft(str(draft.pk))
    assert states(draft)[5] == "valid"


# --- Refusals ---------------------------------------------------------------------------------------------------------
def test_too_many_unfinished_imports_are_refused(web: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "MOST_DRAFTS", 1)
    upload(web, MIXED)
    page = web.post("/sync/import/", {"file": SimpleUploadedFile("a.csv", MIXED.encode())})
    assert page.status_code == 422
    assert "Finish or discard one of them" in page.content.decode()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("", "This field is required."), ("schwab-positions.csv", "This is Schwab&#x27;s positions file")],
)
def test_an_upload_that_cannot_be_says_what_to_do(web: Client, name: str, sentence: str) -> None:
    data = {"file": SimpleUploadedFile(name, fixture(name))} if name else {}
    page = web.post("/sync/import/", data)
    assert page.status_code == 422
    assert sentence in page.content.decode()
    assert not ImportDraft.objects.exists()


def test_a_file_without_transactions_says_so(web: Client) -> None:
    draft = upload(web, SCHWAB)
    assert "The file has no transactions" in text_of(web, f"/sync/import/{draft.pk}/")


@pytest.mark.parametrize("query", ["?state=nonsense", "?state=../x"])
def test_an_address_with_nonsense_leads_nowhere(web: Client, account: Account, query: str) -> None:
    draft = ready(web, account, MIXED)
    assert web.get(f"/sync/import/{draft.pk}/rows/{query}").status_code == 404

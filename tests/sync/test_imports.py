"""Files from upload to books: the same ledger as a sync, every row accounted for, twice imported adds nothing."""

import io
import threading
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, BinaryIO

import pytest
from django.db import connection as database
from django.db.models import Count, Sum
from django.utils import timezone

from aggregation.models import Source, Transaction
from brokerhub.kernel.errors import HubError, NotAllowed
from brokerhub.kernel.models import User
from connections import connection_manager
from connections.brokers.records import TransactionKind
from connections.models import Account, Connection
from connections.states import ConnectionState
from sync import imports, sync_service, tasks
from sync.importers import reader
from sync.models import ImportFile, ParkedRow, RunState, SyncRun, Trigger
from sync.stored import open_stored
from tests.aggregation.factories import a_connection, an_account
from tests.journey.books import sync
from tests.plugins.sandbox_server import Sandbox
from tests.sync.importers.test_samples import EXPECTED, read
from tests.sync.samples import fixture, real_export

K = TransactionKind


@pytest.fixture
def account(person: User) -> Account:
    return an_account(a_connection(person))


def import_into(account: Account, content: bytes, name: str = "export.csv", **said: Any) -> SyncRun:
    run = sync_service.request_import(user=account.connection.user, account=account, name=name, content=content, **said)
    tasks.import_file(run.pk)
    run.refresh_from_db()
    return run


# --- Booking ----------------------------------------------------------------------------------------------------------
IN_ONE_CURRENCY = [name for name, sample in EXPECTED.items() if ";" not in sample.cash]


@pytest.mark.parametrize("name", IN_ONE_CURRENCY)
def test_a_real_export_reaches_its_counts_and_cash_and_twice_adds_nothing(account: Account, name: str) -> None:
    counts, cash = EXPECTED[name].counts.split()[1::2], EXPECTED[name].cash[4:]
    parsed = read(EXPECTED[name])
    said = {"choices": EXPECTED[name].choices, "hints": list(parsed.accounts)}  # all of them into the one account
    run = import_into(account, real_export(name), name, **said)
    rows = sum(map(int, counts))
    assert (run.state, run.error) == (RunState.SUCCEEDED, "")
    assert (run.fetched, run.inserted, run.parked) == (rows, rows, 0)
    booked = Transaction.objects.filter(account=account, source=Source.CSV, run=run)
    assert booked.count() == rows
    in_the_books = round(Decimal(cash or 0), 10)  # where money has ten decimals
    assert booked.aggregate(total=Sum("net_amount"))["total"] == (in_the_books if rows else None)
    again = import_into(account, real_export(name), name, **said)
    assert (again.state, again.fetched, again.inserted, again.matched) == (RunState.SUCCEEDED, rows, 0, rows)
    assert Transaction.objects.count() == rows
    assert any("The same file was imported" in warning for warning in again.warnings)


def test_two_equal_rows_stay_two_however_often_they_come(account: Account) -> None:
    import_into(account, real_export("schwab-brokerage-2023-advisor.csv"))
    import_into(account, real_export("schwab-brokerage-2023-advisor.csv"))
    fees = Transaction.objects.filter(kind=K.FEE, traded_on=date(2023, 4, 21), net_amount=Decimal("-26.58"))
    assert list(fees.order_by("occurrence").values_list("occurrence", flat=True)) == [1, 2]


def test_equal_rows_stay_as_many_when_a_file_is_read_in_pieces(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "READ_AT_ONCE", 1)
    monkeypatch.setattr(reader, "SLICE_ROWS", 3)
    row = b'"06/10/2026","Service Fee","","A FEE","","","","-$5.00"\n'
    run = import_into(account, HEADER + 4 * row)
    assert (run.inserted, run.matched, run.done, run.total) == (4, 0, 4, 4)
    more = import_into(account, HEADER + 6 * row)
    assert (more.inserted, more.matched) == (2, 4)
    booked = Transaction.objects.filter(account=account).order_by("occurrence")
    assert list(booked.values_list("occurrence", flat=True)) == [1, 2, 3, 4, 5, 6]


def test_the_bytes_of_a_kept_file_come_in_ranges(account: Account) -> None:
    content = HEADER + b'"06/10/2026","Service Fee","","A FEE","","","","-$5.00"\n' * 30_000
    run = sync_service.request_import(user=account.connection.user, account=account, name="a.csv", content=content)
    with open_stored(run.file) as kept:
        assert kept.seek(0, io.SEEK_END) == len(content)
        kept.seek(0)
        assert kept.read() == content
        kept.seek(len(HEADER))
        assert kept.read(12) == b'"06/10/2026"'


def test_a_run_cancelled_while_its_file_is_read_writes_nothing(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_and_cancel(file: ImportFile) -> BinaryIO:
        sync_service.cancel(file.run)
        return open_stored(file)

    monkeypatch.setattr(imports, "open_stored", open_and_cancel)
    run = import_into(account, fixture("schwab-brokerage.csv"))
    assert (run.state, run.fetched) == (RunState.CANCELLED, 0)
    assert not Transaction.objects.exists()


def test_overlapping_exports_add_only_the_difference_in_either_order(person: User) -> None:
    whole = fixture("schwab-brokerage.csv")
    lines = whole.splitlines(keepends=True)
    newer, older = b"".join(lines[:8]), b"".join([*lines[:2], *lines[6:]])  # both hold the two rows 6 and 7
    for first, second in ((newer, older), (older, newer)):
        account = an_account(a_connection(person))
        counts = [import_into(account, content).inserted for content in (first, second)]
        assert sum(counts) == 10
        assert import_into(account, whole).inserted == 0


def test_signs_options_and_dates_of_our_own_export(account: Account) -> None:
    run = import_into(account, fixture("schwab-brokerage.csv"))
    assert run.warnings == ["The file has the title and all columns of Schwab's export."]
    rows = {
        (row.kind, row.instrument.symbol if row.instrument else ""): row
        for row in Transaction.objects.select_related("instrument")
    }
    put = "KO    260612P00060000"
    assert rows[K.SELL, "KO"].quantity == -25
    assert (rows[K.SELL, "KO"].gross_amount, rows[K.SELL, "KO"].fees) == (Decimal("1560.00"), Decimal("0.05"))
    assert (rows[K.SELL, put].quantity, rows[K.OPTION_EXPIRATION, put].quantity) == (-1, 1)
    expired = rows[K.OPTION_EXPIRATION, put]
    assert (expired.traded_on, expired.settled_on) == (date(2026, 6, 12), date(2026, 6, 15))
    assert expired.raw["Date"] == "06/15/2026 as of 06/12/2026"
    assert (rows[K.TRANSFER_OUT, "VTI"].quantity, rows[K.TRANSFER_OUT, "VTI"].net_amount) == (-12, 0)
    assert (rows[K.BUY, "BND"].subtype, rows[K.BUY, "BND"].quantity) == ("reinvest", Decimal("0.0611"))
    assert rows[K.DEPOSIT, ""].net_amount == 3000
    assert Transaction.objects.filter(instrument__symbol=put).values("instrument").distinct().count() == 1


def test_rows_that_cannot_be_read_are_parked_with_their_reason_and_stop_nothing(account: Account) -> None:
    run = import_into(account, fixture("schwab-brokerage-odd-rows.csv"))
    assert (run.state, run.fetched, run.inserted, run.parked) == (RunState.SUCCEEDED, 5, 2, 3)
    assert sorted(ParkedRow.objects.values_list("reason", flat=True)) == [
        "A row “Cash Dividend” needs an amount.",
        "“13/45/2026” is not a date like 12/31/2025.",
        "“sixty” is not a number.",
    ]
    strange = Transaction.objects.get(kind=K.OTHER)
    assert (strange.subtype, strange.net_amount, strange.quantity) == ("Quantum Swap", Decimal("-7.50"), 3)
    assert any("“Quantum Swap” is a word of Schwab's that the hub does not know yet" in w for w in run.warnings)
    again = import_into(account, fixture("schwab-brokerage-odd-rows.csv"))
    assert (again.fetched, again.inserted, again.matched, again.parked) == (5, 0, 2, 3)
    assert ParkedRow.objects.count() == 3


def test_a_footer_that_does_not_add_up_is_told_and_stops_nothing(account: Account) -> None:
    run = import_into(account, fixture("schwab-brokerage.csv").replace(b"$2154.29", b"$2154.30"))
    assert run.state == RunState.SUCCEEDED
    assert run.warnings[-1] == "The file says its amounts add up to 2154.30 USD; the rows add up to 2154.29 USD."


def test_a_crash_between_reading_and_booking_leaves_nothing_and_the_next_try_is_whole(account: Account) -> None:
    run = sync_service.request_import(
        user=account.connection.user, account=account, name="a.csv", content=fixture("schwab-brokerage.csv")
    )
    SyncRun.objects.filter(pk=run.pk).update(state=RunState.RUNNING, attempts=1, held_until=timezone.now())
    assert Transaction.objects.count() == 0
    tasks.import_file(run.pk)
    run.refresh_from_db()
    assert (run.state, run.inserted) == (RunState.SUCCEEDED, 10)


# --- File and broker --------------------------------------------------------------------------------------------------
def csv_of(rows: list[dict[str, Any]]) -> bytes:
    """Rows of the sandbox's truth as Schwab's export prints them."""
    words = {
        "buy": "Buy",
        "sell": "Sell",
        "deposit": "MoneyLink Transfer",
        "withdrawal": "MoneyLink Transfer",
        "fee": "Service Fee",
    }
    lines = ['"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"']
    for row in rows:
        on = date.fromisoformat(row["traded_on"]).strftime("%m/%d/%Y")
        quantity = "" if row["quantity"] is None else row["quantity"].lstrip("-")
        cells = [on, words[row["kind"]], row["symbol"] or "", "", quantity, row["price"] or "", row["fees"]]
        lines.append(",".join(f'"{cell}"' for cell in [*cells, row["net_amount"]]))
    return "\n".join(lines).encode()


def plain_rows(sandbox: Sandbox) -> tuple[str, list[dict[str, Any]]]:
    truth = sandbox.truth()["accounts"][0]
    kinds = {"buy", "sell", "deposit", "withdrawal"}
    return truth["hash"], [row for row in truth["transactions"] if row["kind"] in kinds and row["status"] == "posted"]


def test_a_file_of_what_the_broker_has_told_already_adds_nothing(
    connect: Callable[..., Connection], person: User, sandbox: Sandbox
) -> None:
    connection = connect(person)
    sync(connection)
    external_id, rows = plain_rows(sandbox)
    before = Transaction.objects.shown().count()
    run = import_into(connection.accounts.get(external_id=external_id), csv_of(rows))
    assert (run.state, run.fetched, run.inserted) == (RunState.SUCCEEDED, len(rows), 0)
    assert len(rows) > 100
    assert Transaction.objects.shown().count() == before


def test_the_broker_takes_over_what_a_file_told_first(
    connect: Callable[..., Connection], person: User, sandbox: Sandbox
) -> None:
    connection = connect(person)
    external_id, rows = plain_rows(sandbox)
    account = connection.accounts.get(external_id=external_id)
    import_into(account, csv_of(rows))
    run = sync(connection)
    assert run.superseded == len(rows)
    booked = Transaction.objects.in_books().filter(account=account)
    assert set(booked.values_list("source", flat=True)) == {Source.API}
    told = [row for row in sandbox.truth()["accounts"][0]["transactions"] if row["status"] == "posted"]
    assert booked.count() == len(told)
    assert booked.aggregate(total=Sum("net_amount"))["total"] == sum(Decimal(row["net_amount"]) for row in told)


# --- Where to ---------------------------------------------------------------------------------------------------------
def test_a_new_account_by_file_is_made_once_and_taken_again(person: User) -> None:
    for _ in range(2):
        run = sync_service.request_import_into_new(
            user=person, account_name="Old Schwab", name="a.csv", content=fixture("schwab-brokerage.csv")
        )
        tasks.import_file(run.pk)
    account = Account.objects.get(connection__user=person)
    assert (account.name, account.connection.is_file, account.connection.broker) == ("Old Schwab", True, "schwab")
    assert account.transactions.count() == 10


def test_a_refused_file_leaves_no_account_behind(person: User) -> None:
    with pytest.raises(HubError):
        sync_service.request_import_into_new(user=person, account_name="New", name="a.csv", content=b"Name\nChair\n")
    assert not Account.objects.exists()
    assert not Connection.objects.exists()


def test_accounts_of_others_and_of_removed_connections_take_no_file(person: User, stranger: User) -> None:
    gone = an_account(a_connection(person, state=ConnectionState.DISCONNECTED))
    foreign = an_account(a_connection(stranger))
    for account in (gone, foreign):
        with pytest.raises(NotAllowed, match="takes no files"):
            sync_service.request_import(
                user=person, account=account, name="a.csv", content=fixture("schwab-brokerage.csv")
            )
    assert not ImportFile.objects.exists()


def test_an_import_waits_for_no_sync_and_holds_none_up(account: Account) -> None:
    sync_run = sync_service.request_sync(
        user=account.connection.user, connection=account.connection, trigger=Trigger.MANUAL
    )
    assert import_into(account, fixture("schwab-brokerage.csv")).state == RunState.SUCCEEDED
    sync_run.refresh_from_db()
    assert sync_run.state == RunState.QUEUED


def test_the_uploaded_name_cannot_lead_anywhere(account: Account) -> None:
    run = import_into(account, fixture("schwab-brokerage.csv"), "..\\..\\etc\\pass\x00wd\n.csv")
    assert run.file.name == "passwd.csv"


def test_erasing_a_connection_erases_its_files_and_runs(account: Account) -> None:
    from connections import connection_manager

    import_into(account, fixture("schwab-brokerage-odd-rows.csv"))
    connection_manager.disconnect(connection=account.connection, actor=account.connection.user, keep_history=False)
    left = [model.objects.aggregate(n=Count("pk"))["n"] for model in (SyncRun, ImportFile, ParkedRow, Transaction)]
    assert left == [0, 0, 0, 0]


# --- Refusals ---------------------------------------------------------------------------------------------------------
HEADER = b'"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n'


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty."),
        (b" \n\n", "The file is empty."),
        (b"a,b\0c\n", "This is not a text file."),
        (b"PK\x03\x04rest of a spreadsheet", "This is not a text file."),
        ("Datum;Betrag\n1;2\n".encode("utf-16"), "The hub does not know this file's layout."),
        (b"Name,Colour\nChair,Blue\n", "The hub does not know this file's layout. It reads: Charles Schwab,"),
        (b",".join([b"x"] * 201) + b"\n", "The file has more than 200 columns."),
        (b",".join([b"x"] * 200_000), "The file has more than 200 columns."),
        (b"x" * (20 * 1024 * 1024 + 1), "The file is larger than 20 MB."),
    ],
    ids=["empty", "blank", "nul", "spreadsheet", "utf-16", "unknown", "wide", "very wide", "large"],
)
def test_a_file_that_cannot_be_read_is_refused_with_a_sentence(account: Account, content: bytes, sentence: str) -> None:
    with pytest.raises(HubError) as refused:
        import_into(account, content)
    assert str(refused.value).startswith(sentence)
    assert not SyncRun.objects.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            HEADER + b'"06/10/2026","Buy","KO","COCA',
            "The file is damaged: a quotation mark is opened and never closed.",
        ),
        (HEADER + b'"' + b"x" * 10_001 + b'"\n', "A cell of the file is longer than 10,000 characters."),
        (HEADER + b"a,b\n" * 200_001, "The file has more than 200,000 rows."),
        (b'"Date",' + HEADER, "Two columns of the file have the same name."),
    ],
    ids=["open quote", "long cell", "many rows", "column twice"],
)
def test_a_file_found_broken_by_the_worker_fails_its_run_in_words(
    account: Account, content: bytes, sentence: str
) -> None:
    run = import_into(account, content)
    assert run.state == RunState.FAILED
    assert run.error.startswith(sentence)
    assert (run.fetched, Transaction.objects.count()) == (0, 0)


def test_schwabs_positions_are_recognised_and_the_right_export_is_named(account: Account) -> None:
    with pytest.raises(HubError, match=r"This is Schwab.*export its transactions as CSV; import that file"):
        import_into(account, real_export("schwab-positions-2020.csv"))


def test_todays_positions_file_is_recognised_too(account: Account) -> None:
    with pytest.raises(HubError, match="This is Schwab's positions file"):
        import_into(account, fixture("schwab-positions.csv"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_text_is_read_in_the_encodings_exports_come_in(account: Account, encoding: str) -> None:
    text = HEADER.decode() + '"06/10/2026","Cash Dividend","NSRGY","NESTLÉ SA","","","","$5.00"\n'
    import_into(account, text.encode(encoding))
    assert Transaction.objects.get().description == "NESTLÉ SA"


def test_ragged_rows_are_padded_and_cut(account: Account) -> None:
    rows = b'"06/10/2026","Service Fee","","FEE","","","","-$1.00","beyond",9\n"06/09/2026","Stock Split","KO","X",3\n'
    run = import_into(account, HEADER + rows)
    assert (run.inserted, run.parked) == (2, 0)
    assert run.warnings[-1] == "In 1 row there were more cells than columns; the rest was not read."


def test_units_say_where_a_transfer_goes_even_beside_an_amount_of_nothing(account: Account) -> None:
    rows = (
        b'"06/10/2026","Security Transfer","KO","X","-10","","","$0.00"\n'
        b'"06/10/2026","Journaled Shares","KO","X","-4","","","$240.00"\n'
        b'"06/10/2026","Security Transfer","","TOA ACAT","","","","-$7.00"\n'
        b'"06/10/2026","Stock Plan Activity","KO","X","3","","",""\n'
    )
    import_into(account, HEADER + rows)
    booked = Transaction.objects.order_by("pk").values_list("kind", "quantity", "net_amount")
    assert list(booked) == [
        (K.TRANSFER_OUT, -10, 0),
        (K.TRANSFER_OUT, -4, 240),
        (K.TRANSFER_OUT, None, -7),
        (K.TRANSFER_IN, 3, 0),
    ]


@pytest.mark.parametrize("action", ["Buy", "Sell", "Reinvest Shares", "Sell to Open", "Buy to Close"])
def test_a_trade_without_its_amount_is_parked_and_not_booked_as_free(account: Account, action: str) -> None:
    run = import_into(account, HEADER + f'"06/10/2026","{action}","KO","X","10","$60.00"\n'.encode())
    assert (run.inserted, run.parked) == (0, 1)
    assert ParkedRow.objects.get().reason == f"A row “{action}” needs an amount."


def test_a_number_too_large_for_the_books_parks_its_row_and_stops_nothing(account: Account) -> None:
    most = b"99,999,999,999,999,999.999999999999999999"
    rows = b"".join(
        b'"06/10/2026","Sell","KO","X","1","","$%s","$%s"\n' % (number, number)
        for number in (most, b"999,999,999,999,999,999.00", b"5")
    )
    run = import_into(account, HEADER + rows)
    assert (run.state, run.error, run.inserted, run.parked) == (RunState.SUCCEEDED, "", 2, 1)
    assert "has too many digits" in ParkedRow.objects.get().reason


def test_the_sum_compared_with_the_footer_is_that_of_the_booked_rows(account: Account) -> None:
    rows = (
        b'"06/10/2026","Sell","KO","X","1","sixty","","$60.00"\n'
        b'"06/10/2026","Odd Word","KO","X","1","sixty","","$60.00"\n'
        b'"06/10/2026","Service Fee","","FEE","","","","-$1.00"\n'
        b'"Transactions Total","","","","","","","$119.00"\n'
    )
    run = import_into(account, HEADER + rows)
    assert (run.inserted, run.parked) == (1, 2)
    assert run.warnings[1:] == ["The file says its amounts add up to 119.00 USD; the rows add up to -1.00 USD."]


def test_a_file_full_of_unknown_words_is_told_of_in_few_sentences(account: Account) -> None:
    rows = b"".join(b'"06/10/2026","Word %d","KO","X","1","","","$1.00"\n' % number for number in range(500))
    run = import_into(account, HEADER + rows)
    assert run.inserted == 500
    assert len(run.warnings) == 22
    assert run.warnings[1] == (
        "“Word 0” is a word of Schwab's that the hub does not know yet. Its 1 row is kept as “other”, with cash and "
        "quantity as printed."
    )
    assert run.warnings[-1] == "The file has 500 such words, which is many. Is it as Schwab exported it?"


@pytest.mark.parametrize(
    ("printed", "symbol"),
    [
        ("NVDA 02/23/2024 1080.00 C", "NVDA  240223C01080000"),
        ("F 01/17/2025 12.50 P", "F     250117P00012500"),
        ("GOOGL1 01/17/2025 .5 C", "GOOGL1250117C00000500"),
        ("SPX 12/20/2024 5,000.00 C", "SPX   241220C05000000"),
        ("SPXW 12/20/2024 5852.125 C", "SPXW  241220C05852125"),
        ("TSLA1 01/17/2025 233.33 P", "TSLA1 250117P00233330"),
        ("BRK/B 01/16/2026 500.00 C", "BRKB  260116C00500000"),
        ("BRK.B260116C00500000", "BRKB  260116C00500000"),
        ("spy   250321C00500000", "SPY   250321C00500000"),
    ],
)
def test_an_option_is_one_instrument_however_its_symbol_is_printed(account: Account, printed: str, symbol: str) -> None:
    row = f'"01/10/2024","Buy to Open","{printed}","X","1","$1.00","","-$100.00"\n'
    import_into(account, HEADER + row.encode())
    thing = Transaction.objects.get().instrument
    assert thing is not None
    assert (thing.asset_class, thing.symbol) == ("option", symbol)


def test_a_date_in_the_future_is_parked(account: Account) -> None:
    on = (timezone.now() + timedelta(days=400)).strftime("%m/%d/%Y")
    run = import_into(account, HEADER + f'"{on}","Service Fee","","FEE","","","","-$1.00"\n'.encode())
    assert (run.inserted, run.parked) == (0, 1)
    assert ParkedRow.objects.get().reason == f"The date “{on}” is in the future."


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ending", ["cancelled", "erased"])
def test_an_import_is_ended_while_its_rows_are_being_booked(account: Account, ending: str) -> None:
    """The person waits for no booking, however long it takes; nothing of it remains."""
    run = sync_service.request_import(
        user=account.connection.user, account=account, name="export.csv", content=fixture("schwab-brokerage.csv")
    )
    ended = threading.Event()

    def end() -> None:
        try:
            if ending == "cancelled":
                sync_service.cancel(SyncRun.objects.get(pk=run.pk))
            else:
                connection_manager.disconnect(
                    connection=account.connection, actor=account.connection.user, keep_history=False
                )
        finally:
            database.close()
            ended.set()

    def meanwhile(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        done = execute(sql, params, many, context)
        if sql.lstrip().startswith("INSERT INTO aggregation_delivery"):
            other.start()
            ended.wait(2 if ending == "cancelled" else 0.5)
        return done

    other = threading.Thread(target=end)
    with database.execute_wrapper(meanwhile):
        tasks.import_file(run.pk)
    other.join(30)
    assert ended.is_set()
    assert not Transaction.objects.filter(account=account).exists()
    left = SyncRun.objects.filter(pk=run.pk).values_list("state", flat=True)
    assert list(left) == ([RunState.CANCELLED] if ending == "cancelled" else [])

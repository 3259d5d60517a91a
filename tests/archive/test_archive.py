"""Everything a person has, taken away as one file and read into an empty account, where it is the same."""

import hashlib
import io
import json
import zipfile
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.utils import timezone

from aggregation import edits, ledger
from aggregation.models import (
    AccountHistory,
    AppliedAction,
    Break,
    CorporateAction,
    Correction,
    Delivery,
    Instrument,
    InstrumentChoice,
    LotPick,
    PointChange,
    Position,
    PossibleDuplicate,
    Reconciliation,
    ReportedValue,
    Source,
    Transaction,
    TransferLink,
    UserEdit,
)
from brokerhub.archive import reading, readings, tables, writing
from brokerhub.archive.models import ExportPiece, ExportReading
from brokerhub.archive.reading import ExportRefused
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from comparison.models import BrokerRating, ComparisonBroker, CostSimulation, RecommendationProfile
from connections.models import Account, Connection, ConnectionEvent, OfferedAccount
from health.models import AlertChoice
from sync.models import (
    HistorySetting,
    ImportFile,
    MappingTemplate,
    Mode,
    ParkedRow,
    RunEntry,
    RunState,
    Schedule,
    SyncCursor,
    SyncRun,
    Trigger,
    WordRule,
)
from tests.aggregation.factories import (
    AAPL,
    BND,
    a_connection,
    a_position,
    a_record,
    a_user,
    an_account,
    some_holdings,
)

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"


@pytest.fixture
def owner() -> User:
    """Somebody with a row of nearly everything, rows that point at each other, and secrets."""
    user = a_user()
    User.objects.filter(pk=user.pk).update(name="Ada", currency="EUR", timezone="Europe/Berlin")
    later_by_name = Instrument.objects.create(
        key="security:ZZZ:USD", asset_class="equity", symbol="ZZZ", currency="USD"
    )
    login = a_connection(
        user, sealed_credentials=b"sealed-canary", broker_user_key="maria", last_success_at=timezone.now()
    )
    account, other = an_account(login), an_account(a_connection(user, label="Second"), aliases=["1", "2"])
    ConnectionEvent.objects.create(connection=login, actor=user, action="connected", to_state="connected")
    run = SyncRun.objects.create(
        connection=login, trigger=Trigger.MANUAL, mode=Mode.INITIAL, state=RunState.RUNNING, requested_by=user
    )
    records = [a_record(str(number), net_amount=Decimal(-number)) for number in range(1, 6)]
    ledger.book(account=account, records=records, source=Source.API, run_id=run.pk)
    ledger.book(account=account, records=[a_record("2", net_amount=Decimal(-99))], source=Source.API, run_id=run.pk)
    ledger.book(account=other, records=[a_record(instrument=BND)], source=Source.CSV, run_id=None)
    ledger.record_holdings(account=account, holdings=some_holdings(a_position(AAPL)), run_id=run.pk)
    row = Transaction.objects.get(external_id="1", account=account)
    edits.annotate(row, user=user, note="Naïve – ☂", tags=["a", "b"])
    halves = ((Decimal(-1), Decimal(4)), (Decimal(-2), Decimal(6)))
    parts = [edits.Part(net_amount=amount, quantity=units) for amount, units in halves]
    edits.split(Transaction.objects.get(external_id="3", account=account), parts, user=user)
    first, second = Transaction.objects.filter(account=account).order_by("pk")[:2]
    PossibleDuplicate.objects.create(account=account, first=first, second=second, reasons=["date"], decided_by=user)
    rule = WordRule.objects.create(user=user, broker="schwab", field="type", word="ODD", kind="fee")
    upload = SyncRun.objects.create(
        connection=login, trigger=Trigger.IMPORT, mode=Mode.IMPORT, state=RunState.SUCCEEDED, fetched=1, parked=1
    )
    file = {"name": "a.csv", "format": "schwab", "size": 3, "content": b"\x00\xff\n", "sha256": "0" * 64}
    ImportFile.objects.create(run=upload, account=account, rule=rule, **file)
    ParkedRow.objects.create(run=upload, account=account, digest="0" * 64, reason="Unknown.", raw={"n": [1]})
    broker = ComparisonBroker.objects.create(key="schwab", name="Charles Schwab", role="integrated")
    BrokerRating.objects.create(user=user, broker=broker, overall=4, text="Good.", state="approved")
    aapl = Instrument.objects.get(key="security:AAPL:USD")
    InstrumentChoice.objects.create(user=user, instrument=later_by_name, other=aapl, is_same=False)
    InstrumentChoice.objects.create(user=user, instrument=aapl, account=account, is_same=False)
    decisions(user, account, other)
    user.refresh_from_db()
    return user


def decisions(user: User, account: Account, other: Account) -> None:
    """What people decide beside their rows, and what is kept of days, runs and prices."""
    aapl, login, now, day = Instrument.objects.get(symbol="AAPL"), account.connection, timezone.now(), date(2026, 3, 2)
    lot, sale = Transaction.objects.in_books().filter(account=account).order_by("pk")[:2]
    arrived = Transaction.objects.get(account=other)
    LotPick.objects.create(account=account, sale=sale, lot=lot, quantity=Decimal("2.5"))
    TransferLink.objects.create(outgoing=sale, incoming=arrived, state="rejected", decided_by=user)
    Correction.objects.create(
        account=account, action="book", label="Book a fee", about="Cash", cause="fee", booked=[lot.pk], done_by=user
    )
    action = CorporateAction.objects.create(user=user, kind="split", instrument=aapl, on=day, new=2, currency="USD")
    AppliedAction.objects.create(action=action, account=account, booked=[sale.pk])
    Break.objects.create(
        account=account, instrument=aapl, currency="USD", reported=1, derived=0, difference=1, explained=1,
        cause="unknown", findings=[{"evidence": [lot.pk]}], fingerprint="f" * 64, state="ignored", ignored_by=user,
        ignored_at=now, ignored_why="They know.",
    )  # fmt: skip
    compared = {"compared_at": now, "reported_at": now, "items": 3}
    Reconciliation.objects.update_or_create(account=account, defaults=compared)
    taken = {"changed_at": now, "changed_from": day, "taken_to": day}
    AccountHistory.objects.update_or_create(account=account, defaults=taken)
    ReportedValue.objects.create(account=account, on=day, currency="USD", net_asset_value=Decimal("0.1"), told_at=now)
    PointChange.objects.create(account=account, on=day, currency="USD", became=1, reason="prices", changed_at=now)
    CostSimulation.objects.create(
        user=user, inputs={"accounts": [account.pk, other.pk], "since": "2026-01-01"}, key="k", catalogue_version=1,
        engine_version=1, state="done", result={"plans": []}, finished_at=now,
    )  # fmt: skip
    RecommendationProfile.objects.create(user=user, name="Mine", inputs={"a": ["1"]}, catalogue_version=1, result={})
    OfferedAccount.objects.create(connection=login, external_id="later", name="Opened later")
    HistorySetting.objects.create(user=user)
    MappingTemplate.objects.create(user=user, name="Mine", header="0" * 64, mapping={"columns": {}})
    RunEntry.objects.create(run=SyncRun.objects.filter(connection=login).order_by("pk")[0], text="Read.")
    Schedule.objects.create(connection=login)
    SyncCursor.objects.create(account=account, covered_from=day, covered_to=day)
    AlertChoice.objects.create(user=user)


def export(user: User) -> bytes:
    return b"".join(writing.write(user))


def entries(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def data_of(content: bytes) -> dict[str, bytes]:
    return {name: text for name, text in entries(content).items() if name != "manifest.json"}


def rebuilt(content: dict[str, bytes], **manifest: Any) -> bytes:
    """A zip of these entries with a manifest that fits them."""
    facts = {
        name: {"rows": text.count(b"\n"), "bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}
        for name, text in content.items()
        if name.startswith("data/")
    }
    said = {"format": writing.FORMAT, "version": writing.VERSION, "made_at": "now", "files": facts} | manifest
    outlet = io.BytesIO()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(name, text)
        archive.writestr("manifest.json", json.dumps(said))
    return outlet.getvalue()


def read(user: User, content: bytes) -> reading.Restored:
    return reading.read(user, io.BytesIO(content))


# --- There and back ---------------------------------------------------------------------------------------------------
def test_what_was_exported_read_and_exported_again_is_the_same(owner):
    first, newcomer = export(owner), a_user()
    restored = read(newcomer, first)
    assert data_of(export(newcomer)) == data_of(first)
    assert restored.rows["aggregation.Transaction"] == Transaction.objects.for_user(owner).count() == 9
    newcomer.refresh_from_db()
    assert (newcomer.name, newcomer.currency, newcomer.timezone) == ("Ada", "EUR", "Europe/Berlin")


def test_nothing_a_person_has_is_left_out_of_that(owner):
    """The export that is read and made again has a row of every table, so that each is known to come back whole."""
    files = data_of(export(owner))
    assert [table.label for table in tables.TABLES if not files[table.file]] == []


def test_what_was_ignored_stays_so_and_simulations_name_the_new_accounts(owner):
    newcomer = a_user()
    read(newcomer, export(owner))
    ignored = Break.objects.for_user(newcomer).get()
    assert (ignored.state, ignored.ignored_why, ignored.ignored_by) == ("ignored", "They know.", newcomer)
    assert Reconciliation.objects.due().filter(account=ignored.account).exists()
    accounts = set(Account.objects.for_user(newcomer).values_list("pk", flat=True))
    assert set(CostSimulation.objects.get(user=newcomer).inputs["accounts"]) == accounts


def test_the_other_account_stays_untouched_and_nothing_points_over(owner):
    newcomer = a_user()
    before = list(Transaction.objects.for_user(owner).order_by("pk").values())
    read(newcomer, export(owner))
    assert list(Transaction.objects.for_user(owner).order_by("pk").values()) == before
    own = Transaction.objects.for_user(newcomer)
    replaced = own.get(status="superseded", part_of=None)
    assert replaced.superseded_by in own
    assert set(own.exclude(part_of=None).values_list("part_of__external_id", flat=True)) == {"3"}
    told = {pk for delivery in Delivery.objects.for_user(newcomer) for pk in delivery.rows}
    assert told <= set(own.values_list("pk", flat=True))
    edit = UserEdit.objects.get(account__connection__user=newcomer, note="Naïve – ☂")
    assert (edit.transaction.external_id, edit.edited_by) == ("1", newcomer)
    assert bytes(ImportFile.objects.get(run__connection__user=newcomer).content) == b"\x00\xff\n"


def test_times_are_those_of_then_and_not_of_now(owner):
    newcomer = a_user()
    read(newcomer, export(owner))
    then, now = (Transaction.objects.for_user(user).get(external_id="1").booked_at for user in (owner, newcomer))
    assert then == now


def test_no_secret_leaves_and_a_restored_connection_asks_to_sign_in(owner):
    content = export(owner)
    everything = b"".join(entries(content).values())
    for secret in (b"sealed-canary", owner.password.encode(), owner.email.encode(), b"c2VhbGVkLWNhbmFyeQ"):
        assert secret not in everything
    newcomer = a_user()
    read(newcomer, content)
    for connection in Connection.objects.for_user(newcomer):
        assert (connection.state, connection.reason_code) == ("needs_reauth", "restored")
        assert (bytes(connection.sealed_credentials), connection.last_success_at) == (b"", None)
    assert BrokerRating.objects.get(user=newcomer).state == "pending"
    assert not SyncRun.objects.filter(connection__user=newcomer, state="running").exists()


def test_the_manifest_counts_the_rows_and_names_their_checksums(owner):
    manifest = json.loads(entries(export(owner))["manifest.json"])
    assert (manifest["format"], manifest["version"]) == ("broker-integration-hub-export", 2)
    said = manifest["files"]["data/aggregation.Transaction.jsonl"]
    assert (said["rows"], len(said["sha256"])) == (9, 64)


def test_an_export_of_nothing_can_be_read_too():
    assert read(a_user(), export(a_user())).total == 0


def test_an_instrument_that_the_hub_knows_stays_as_it_is_and_a_new_one_is_made(owner):
    content = export(owner)
    files = data_of(content)
    name = "data/aggregation.Instrument.jsonl"
    files[name] = files[name].replace(b"Apple Inc", b"Not Apple")
    files = {each: text.replace(b"security:BND:USD", b"security:NEW:USD") for each, text in files.items()}
    newcomer = a_user()
    read(newcomer, rebuilt(files))
    assert Instrument.objects.get(key="security:AAPL:USD").name == "Apple Inc"
    assert Position.objects.for_user(newcomer).get().instrument.name == "Apple Inc"
    assert Transaction.objects.for_user(newcomer).filter(instrument__key="security:NEW:USD").count() == 1


# --- What is refused --------------------------------------------------------------------------------------------------
def test_an_account_with_something_in_it_reads_nothing(owner):
    full = a_user()
    a_connection(full)
    with pytest.raises(NotAllowed):
        read(full, export(owner))
    assert Connection.objects.for_user(full).count() == 1


def spoilt(content: bytes) -> dict[str, bytes]:
    """Files nobody should read, by what is wrong with them."""
    files = data_of(content)
    rows = "data/aggregation.Transaction.jsonl"
    lines = files[rows].splitlines(keepends=True)

    def with_first(**fields: Any) -> bytes:
        first = json.dumps(json.loads(lines[0]) | fields).encode() + b"\n"
        return rebuilt(files | {rows: first + b"".join(lines[1:])})

    return {
        "no zip": b"PK\x03\x04 nothing",
        "another zip": rebuilt({}, format="photos"),
        "cut off": content[:-200],
        "another version": rebuilt(files, version=1),
        "a wrong checksum": rebuilt(files, files={name: {"rows": 0, "bytes": 1, "sha256": "0"} for name in files}),
        "a changed row": content.replace(zlib_of(content, rows)[:20], b"\x00" * 20),
        "a file missing": rebuilt({name: text for name, text in files.items() if name != rows}),
        "a path that climbs": rebuilt(files | {"../../etc/cron.d/x": b"x"}),
        "a file beside": rebuilt(files | {"data/kernel.User.jsonl": b'{"is_staff": true}\n'}),
        "half a line": rebuilt(files | {rows: files[rows][:-40]}),
        "a list": rebuilt(files | {rows: b"[]\n"}),
        "a field too many": with_first(is_admin=True),
        "a row of nobody": with_first(account=99),
        "a row by its id": with_first(account="1"),
        "itself by a wrong number": with_first(superseded_by=10**6),
        "no number": with_first(net_amount="NaN"),
        "a float": with_first(net_amount=1.5),
        "no kind": with_first(kind="gift"),
        "no date": with_first(traded_on="yesterday"),
        "nothing where something must be": with_first(net_amount=None),
        "too long": with_first(description="x" * 301),
        "an instrument nobody has": with_first(instrument="security:NONE:USD"),
        "a zero byte": with_first(description="a\x00b"),
        "twice the same": rebuilt(files | {rows: b"".join([*lines, lines[0]])}),
    }


def zlib_of(content: bytes, name: str) -> bytes:
    """The packed bytes of an entry."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entry = archive.getinfo(name)
    start = entry.header_offset + 30 + len(name) + 20
    return content[start : start + entry.compress_size]


def refuses(user: User, content: bytes) -> bool:
    try:
        read(user, content)
    except ExportRefused:
        return True
    return False


def test_whatever_is_wrong_with_a_file_it_is_refused_and_leaves_nothing(owner):
    newcomer = a_user()
    instruments = Instrument.objects.count()
    read_anyway = [what for what, content in spoilt(export(owner)).items() if not refuses(newcomer, content)]
    assert read_anyway == []
    assert reading.is_empty(newcomer)
    assert Instrument.objects.count() == instruments
    newcomer.refresh_from_db()
    assert newcomer.name == ""


def test_a_bomb_is_counted_while_it_is_unpacked(owner, monkeypatch):
    monkeypatch.setattr(reading, "MOST_BYTES", 1024 * 1024)
    files = data_of(export(owner)) | {"data/aggregation.Balance.jsonl": b" " * 8 * 1024 * 1024}
    with pytest.raises(ExportRefused, match="larger than the hub reads"):
        read(a_user(), rebuilt(files))


# --- Nothing is forgotten ---------------------------------------------------------------------------------------------
def models_of_a_person() -> set[str]:
    """Every model from which foreign keys lead to a person."""
    found: set[Any] = {User}
    while True:
        more = {
            model
            for model in apps.get_models(include_auto_created=True)
            if model not in found and any(each.related_model in found for each in model._meta.concrete_fields)
        }
        if not more:
            return {model._meta.label for model in found - {User}}
        found |= more


def test_every_model_of_a_person_is_exported_or_says_why_not():
    named = {table.label for table in tables.TABLES} | tables.NOT_EXPORTED.keys()
    assert models_of_a_person() - named == set(), "name it in brokerhub/archive/tables.py"
    assert named - models_of_a_person() == set()
    assert not {table.label for table in tables.TABLES} & tables.NOT_EXPORTED.keys()


def test_a_table_is_read_after_those_it_names():
    seen: set[str] = set()
    for table in tables.TABLES:
        assert table.points_at <= seen | {table.label}, table.label
        seen.add(table.label)


# --- The page ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def signed_in(client, long_ago):
    def sign_in(user: User) -> Any:
        client.force_login(user)
        long_ago(client)
        answer = client.get("/settings/export/")
        assert answer.status_code == 302
        assert "reauthenticate" in answer["Location"]
        answer = client.post(answer["Location"], {"password": PASSWORD})
        assert (answer.status_code, answer["Location"]) == (302, "/settings/export/")
        return client

    return sign_in


def test_an_export_asks_for_the_password_once_more_and_comes_as_a_file(signed_in, client, owner, long_ago):
    client.force_login(owner)
    long_ago(client)
    assert client.post("/settings/export/download/").status_code == 302
    browser = signed_in(owner)
    assert "There is something in yours" in browser.get("/settings/export/").content.decode()
    answer = browser.post("/settings/export/download/")
    assert answer["Content-Type"] == "application/zip"
    assert f"broker-hub-{date.today():%Y}" in answer["Content-Disposition"]  # noqa: DTZ011 (only the year)
    assert data_of(b"".join(answer.streaming_content)) == data_of(export(owner))


def test_a_newcomer_reads_an_export_on_the_page(signed_in, owner):
    newcomer, content = a_user(), export(owner)
    browser = signed_in(newcomer)
    refused = browser.post("/settings/export/read/", {"file": io.BytesIO(b"no zip")})
    assert (refused.status_code, "This is no zip file" in refused.content.decode()) == (422, True)
    address = browser.post("/settings/export/read/", {"file": io.BytesIO(content)})["Location"]
    assert "hx-trigger" in browser.get(address).content.decode()
    assert "See how far it is" in browser.get("/settings/export/").content.decode()
    again = browser.post("/settings/export/read/", {"file": io.BytesIO(content)})
    assert "See how far it is" in again.content.decode()
    assert not Account.objects.for_user(newcomer).exists()
    assert readings.read_due() == 1
    shown = browser.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "Everything is here" in shown
    assert "hx-trigger" not in shown
    assert Account.objects.for_user(newcomer).count() == 2
    again = browser.post("/settings/export/read/", {"file": io.BytesIO(content)})
    assert "There is something in this account already" in again.content.decode()
    assert not ExportPiece.objects.exists()
    assert readings.read_due() == 0


def test_an_export_that_is_refused_says_why_on_its_page(signed_in, owner):
    newcomer = a_user()
    browser = signed_in(newcomer)
    spoilt_one = spoilt(export(owner))["a wrong checksum"]
    address = browser.post("/settings/export/read/", {"file": io.BytesIO(spoilt_one)})["Location"]
    readings.read_due()
    assert "its checksum is another" in browser.get(address).content.decode()
    assert reading.is_empty(newcomer)


def test_a_worker_that_dies_leaves_nothing_and_the_next_one_reads_it_all(owner, monkeypatch):
    newcomer, content = a_user(), export(owner)
    one = readings.begin(newcomer, name="all.zip", file=io.BytesIO(content), size=len(content))

    def dies(*_: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(reading, "_point", dies)
    with pytest.raises(SystemExit):
        readings.read_due()
    monkeypatch.undo()
    one.refresh_from_db()
    assert (one.state, one.tries, reading.is_empty(newcomer)) == ("waiting", 1, True)
    assert readings.read_due() == 1
    one.refresh_from_db()
    assert (one.state, one.rows) == ("done", sum(read(a_user(), content).rows.values()))


def test_a_file_that_kills_each_worker_is_given_up_after_some_tries(owner):
    content = export(owner)
    one = readings.begin(a_user(), name="all.zip", file=io.BytesIO(content), size=len(content))
    ExportReading.objects.filter(pk=one.pk).update(tries=readings.MOST_TRIES)
    readings.read_due()
    one.refresh_from_db()
    assert (one.state, one.error) == ("refused", readings.FAILED)


def test_the_file_is_read_piece_by_piece_as_if_it_were_one(owner, monkeypatch):
    monkeypatch.setattr(readings, "PIECE", 1000)
    newcomer, content = a_user(), export(owner)
    readings.begin(newcomer, name="all.zip", file=io.BytesIO(content), size=len(content))
    assert ExportPiece.objects.count() == len(content) // 1000 + 1
    said: list[tuple[int, int]] = []
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 10)
    monkeypatch.setattr(readings, "_watched", lambda one: lambda done, total: said.append((done, total)))
    readings.read_due()
    assert data_of(export(newcomer)) == data_of(content)
    assert said == sorted(said)
    assert len({total for _, total in said}) == 1
    assert said[-1][0] <= said[-1][1]


def test_another_persons_reading_is_not_there(client, owner):
    content = export(owner)
    one = readings.begin(a_user(), name="all.zip", file=io.BytesIO(content), size=len(content))
    client.force_login(owner)
    assert client.get(f"/settings/export/read/{one.pk}/").status_code == 404


def test_a_file_beyond_the_limit_is_not_taken(signed_in, monkeypatch):
    from brokerhub.archive.pages import WholeExport

    monkeypatch.setattr(WholeExport, "most", 1000)
    answer = signed_in(a_user()).post("/settings/export/read/", {"file": io.BytesIO(b"x" * 100_000)}, follow=True)
    assert "larger than 100 MB" in answer.content.decode()

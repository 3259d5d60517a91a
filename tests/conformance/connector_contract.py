"""What the hub asks of each connector, whatever the broker and the way of signing in. Written once, held by all.

`SignInContract` is about access: each test signs in anew. `DataContract` is about what is read: its tests share one
login that is connected and synced once. Both come in by the hub's services, against the sandbox.
"""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.cache import cache
from django.db.models import Value
from django.db.models.functions import Concat
from django.utils import timezone

from aggregation.instruments import key_of
from aggregation.models import Balance, Transaction
from brokerhub.kernel.errors import HubError
from connections import connection_manager
from connections.brokers import BROKERS
from connections.brokers.base import AppCredentialsRefused, BrokerError, BrokerUnavailable, NeedsReauth
from connections.brokers.records import AccountRecord, AssetClass, Holdings, ParkedRecord, TransactionRecord
from connections.errors import DifferentLogin, SignInFailed
from connections.models import Account, Connection
from connections.states import ConnectionState
from connections.tokens import read_grant
from sync.models import RunState, SyncCursor
from tests.conformance import stage as staging
from tests.conformance.fault_contract import FaultContract
from tests.conformance.stage import floats, leaks, of_broker, of_hub, said, secrets_of, sync
from tests.conformance.ways import ACCOUNTS, PARTS, TRANSACTIONS

NEW_YORK = ZoneInfo("America/New_York")
OSI = re.compile(r"[A-Z0-9]{1,6} {0,5}\d{6}[CP]\d{8}")
PLAIN = re.compile(r"[A-Z0-9]+(\.[A-Z0-9]+)?")
READING = {"GET", "HEAD"}


def osi_or_plain(instrument: Any) -> bool:
    if instrument.asset_class is AssetClass.OPTION:
        return len(instrument.symbol) == 21 and bool(OSI.fullmatch(instrument.symbol))
    return bool(PLAIN.fullmatch(instrument.symbol))


def essence(record: TransactionRecord) -> tuple[Any, ...]:
    """What decides whether a row is the same as one booked before."""
    instrument = record.instrument and key_of(record.instrument)
    return record.external_id, record.kind, record.traded_on, instrument, record.quantity, record.net_amount


class SignInContract:
    """Getting access, renewing it, losing it, handing it back."""

    @pytest.fixture(autouse=True)
    def _quickly(self, swift):
        """Without pacing and pauses."""

    @pytest.fixture
    def connection(self, way, sandbox, person):
        return way.connect(sandbox, person)

    def calls(self, way, sandbox, operation=None):
        return [call for call in sandbox.calls(operation) if call["broker"] == way.broker]

    def test_a_sign_in_gives_a_connection_with_masked_accounts(self, way, sandbox, connection, person):
        assert (connection.user, connection.method) == (person, way.method)
        assert connection.status in {ConnectionState.CONNECTED, ConnectionState.EXPIRING}
        accounts = connection.accounts.all()
        assert {account.external_id for account in accounts} == {way.account_id(row) for row in way.truth(sandbox)}
        for account in accounts:
            assert 0 < len(account.mask) <= 4
            assert account.currency in {"USD", "EUR"}

    def test_who_is_turned_away_leaves_nothing_behind(self, way, sandbox, person):
        with pytest.raises(HubError) as raised:
            way.door.turn_away(way, sandbox, person)
        assert str(raised.value)
        assert not Account.objects.exists()
        assert not Connection.objects.exclude(sealed_credentials=b"").exists()

    def test_a_way_back_is_good_once_and_for_its_own_person_only(self, way, sandbox, person, stranger):
        refusals = way.door.replay(way, sandbox, person, stranger)
        if not refusals:
            pytest.skip("keys are good for whoever has them")
        assert {type(error) for error in refusals} == {SignInFailed}
        [connection] = Connection.objects.exclude(sealed_credentials=b"")
        assert (connection.user, connection.state) == (person, ConnectionState.CONNECTED)

    def test_the_hubs_own_wrong_key_is_told_as_such(self, way, sandbox, person, settings):
        if not way.wrong_app:
            pytest.skip("the hub has no key of its own at this broker")
        for name, value in way.wrong_app.items():
            setattr(settings, name, value)
        with pytest.raises(AppCredentialsRefused, match="administrator") as raised:
            way.connect(sandbox, person)
        assert leaks(said(raised.value), set(way.wrong_app.values())) == set()
        assert not Connection.objects.exclude(sealed_credentials=b"").exists()

    def test_no_secret_is_printed_or_logged(self, way, sandbox, connection, capfd):
        secrets = secrets_of(connection)
        connector = connection_manager.connector_for(connection)
        grant = read_grant(connection)
        shown = [repr(grant), f"{grant}", repr(connection), repr(connector), f"{connector}"]
        for operation in way.reads[ACCOUNTS]:
            for kind in ("500", "403", "reset", "html"):
                sandbox.fault(kind, operation, broker=way.broker)
                with pytest.raises(BrokerError) as raised:
                    connection_manager.connector_for(connection).accounts()
                shown.append(said(raised.value))
                sandbox.clear_faults()
                cache.clear()
        assert secrets
        assert leaks("".join(shown), secrets) == set()
        logged = "".join(capfd.readouterr())
        assert "broker_call" in logged
        assert leaks(logged, secrets) == set()

    def test_access_that_has_run_out_is_renewed_ahead_or_asked_for(self, way, sandbox, connection):
        before = connection.read_credentials()
        Connection.objects.update(access_expires_at=timezone.now() - timedelta(seconds=1))
        if not way.renewal:
            with pytest.raises(NeedsReauth):
                connection_manager.refresh_credentials(connection)
            assert (connection.state, connection.reason_code) == ("needs_reauth", way.refused)
            return
        called = len(self.calls(way, sandbox, way.renewal))
        assert connection_manager.connector_for(connection).accounts()
        assert len(self.calls(way, sandbox, way.renewal)) == called + 1
        connection.refresh_from_db()
        assert connection.read_credentials() != before
        assert connection.access_expires_at > timezone.now()

    def test_a_401_renews_once_and_not_for_ever(self, way, sandbox, connection):
        called = len(self.calls(way, sandbox, way.renewal)) if way.renewal else 0
        for operation in way.reads[ACCOUNTS]:
            sandbox.fault("401", operation, broker=way.broker)
        with pytest.raises(BrokerError):
            connection_manager.connector_for(connection).accounts()
        if way.renewal:
            assert len(self.calls(way, sandbox, way.renewal)) == called + 1

    def test_access_the_broker_dropped_is_renewed_on_its_refusal(self, way, sandbox, connection):
        if not way.renewal:
            pytest.skip("nothing can renew this way's access")
        sandbox.end_tokens(way.login, expire=True, broker=way.broker)
        called = len(self.calls(way, sandbox, way.renewal))
        assert connection_manager.connector_for(connection).accounts()
        assert len(self.calls(way, sandbox, way.renewal)) == called + 1

    def test_access_the_broker_has_ended_asks_the_person_and_is_mended_in_place(self, way, sandbox, connection, person):
        accounts = set(connection.accounts.values_list("pk", flat=True))
        way.end(way, sandbox)
        run = sync(connection)
        assert (run.state, run.error_code) == (RunState.FAILED, "needs_reauth")
        assert (connection.state, connection.reason_code) == ("needs_reauth", way.refused)
        again = way.connect(sandbox, person, connection=connection)
        assert again.pk == connection.pk
        assert again.state == ConnectionState.CONNECTED
        assert set(again.accounts.values_list("pk", flat=True)) == accounts

    def test_an_outage_of_the_renewal_loses_nothing(self, way, sandbox, connection):
        if not way.renewal:
            pytest.skip("nothing can renew this way's access")
        before = connection.read_credentials()
        for kind in ("500", "html", "reset", "429"):
            sandbox.fault(kind, way.renewal, broker=way.broker)
            with pytest.raises(BrokerUnavailable):
                connection_manager.refresh_credentials(connection)
            connection.refresh_from_db()
            assert connection.read_credentials() == before
            assert connection.status.may_sync
            sandbox.clear_faults()
            cache.clear()
        connection_manager.refresh_credentials(connection)
        assert connection.state == ConnectionState.CONNECTED
        assert connection_manager.connector_for(connection).accounts()

    def test_a_sign_in_with_an_end_asks_for_the_next_one_in_time(self, way, sandbox, connection):
        if way.lasts is None:
            assert connection.authorization_expires_at is None
            return
        left = connection.authorization_expires_at - timezone.now()
        assert way.lasts - timedelta(minutes=5) < left <= way.lasts
        Connection.objects.update(authorization_expires_at=timezone.now() + timedelta(hours=20))
        connection_manager.note_success(connection)
        assert (connection.state, connection.reason_code) == ("expiring", "authorization_expiring")
        Connection.objects.update(authorization_expires_at=timezone.now() - timedelta(minutes=1))
        called = len(self.calls(way, sandbox))
        with pytest.raises(NeedsReauth):
            connection_manager.connector_for(connection).accounts()
        assert len(self.calls(way, sandbox)) == called

    def test_the_same_login_is_the_same_connection_with_the_same_accounts(self, way, sandbox, connection, person):
        accounts = set(connection.accounts.values_list("pk", "external_id"))
        again = way.connect(sandbox, person)
        assert again.pk == connection.pk
        assert set(again.accounts.values_list("pk", "external_id")) == accounts
        assert Connection.objects.count() == 1

    def test_another_login_is_refused_with_both_masks(self, way, sandbox, connection, person):
        if way.other:
            new = {account["number"] for account in way.truth(sandbox, way.other)}
            login = way.other
        else:  # the sandbox has one login here: the connection becomes that of somebody else
            connection.broker_user_key = "somebody-else"
            connection.save()
            connection.accounts.update(mask="0000", external_id=Concat(Value("of-another-"), "external_id"))
            new, login = {account["number"] for account in way.truth(sandbox)}, way.login
        before = connection.read_credentials()
        with pytest.raises(DifferentLogin) as raised:
            way.connect(sandbox, person, login, connection)
        for mask in connection.accounts.values_list("mask", flat=True):
            assert f"...{mask}" in str(raised.value)
        for number in new:
            assert number not in str(raised.value)
            assert number[-3:] in str(raised.value)
        connection.refresh_from_db()
        assert connection.read_credentials() == before

    def test_a_whole_life_only_reads(self, way, sandbox, connection, person):
        assert sync(connection).state == RunState.SUCCEEDED
        secrets = read_grant(connection)
        receipt = connection_manager.disconnect(connection=connection, actor=person)
        calls = self.calls(way, sandbox)
        assert {call["operation"] for call in calls} <= way.operations
        changing = {call["operation"] for call in calls if call["method"] not in READING}
        assert changing <= way.sign_in | way.posts
        connection.refresh_from_db()
        assert (connection.state, connection.sealed_credentials) == (ConnectionState.DISCONNECTED, b"")
        assert receipt.revocation.value == ("done" if way.revocation else "not_offered")
        if way.revocation:
            with pytest.raises(NeedsReauth):
                BROKERS[way.method].sign_in(way.app_keys()).refresh(secrets)


class DataContract(FaultContract):
    """What is read: whole, exact, and never made worse by what goes wrong."""

    # --- What is so -----------------------------------------------------------------------------------------------

    def test_the_first_sync_brings_what_is_so_at_the_broker(self, way, stage):
        run, connection = stage.run, stage.connection
        assert (run.state, run.error, run.parked) == (RunState.SUCCEEDED, "", 0)
        assert run.fetched == run.inserted + run.matched
        assert bool(run.fetched) is bool(way.reads[TRANSACTIONS])
        cursors = SyncCursor.objects.filter(account__connection=connection).values_list("covered_from", flat=True)
        hub, broker = of_hub(connection), of_broker(way, way.truth(stage.sandbox), str(min(cursors, default="")))
        assert hub.keys() == broker.keys()
        for account, truth in broker.items():
            assert hub[account].held == truth.held
            assert hub[account].fills == truth.fills
            assert hub[account].cash == (truth.cash if way.tells_cash else dict.fromkeys(truth.cash))
            assert hub[account].days.keys() == truth.days.keys()
            assert all(abs(hub[account].days[day] - truth.days[day]) <= way.blur for day in truth.days)

    def test_the_second_sync_changes_nothing(self, stage):
        connection = stage.connection
        run = sync(connection)
        assert (run.state, run.inserted, run.superseded) == (RunState.SUCCEEDED, 0, 0)
        assert staging.books(connection) == stage.books

    def test_what_is_booked_adds_up_to_the_cash(self, way, stage):
        if not way.is_whole or way.history is not None:
            pytest.skip("this way does not tell every row, or not all of them were read here")
        for balance in Balance.objects.filter(account__connection=stage.connection):
            rows = Transaction.objects.in_books().filter(account=balance.account, currency=balance.currency)
            assert sum(row.net_amount for row in rows) == balance.cash

    def test_every_amount_has_its_sign(self, way, stage):
        rows: list[Any] = self.records(stage)
        assert bool(rows) is bool(way.reads[TRANSACTIONS])
        for row in rows:
            assert row.price is None or row.price >= 0
            if row.kind == "buy" and not way.is_reversal(row):
                assert row.net_amount <= 0 < row.quantity
            if row.kind == "sell" and not way.is_reversal(row):
                assert row.quantity < 0 <= row.net_amount + row.fees + row.taxes
            if row.kind in {"buy", "sell"} and not way.is_reversal(row):
                assert row.fees >= 0
                assert row.taxes >= 0
            if row.gross_amount is not None:
                assert row.net_amount == row.gross_amount - row.fees - row.taxes

    def test_days_are_those_of_the_market_and_moments_are_utc(self, stage):
        rows: list[Any] = self.records(stage)
        for row in rows:
            assert row.settled_on is None or row.settled_on >= row.traded_on
            if row.occurred_at is not None:
                assert row.occurred_at.utcoffset() == timedelta(0)
        trades = [row for row in rows if row.occurred_at is not None and row.kind in {"buy", "sell"}]
        assert all(row.occurred_at.astimezone(NEW_YORK).date() == row.traded_on for row in trades)

    def test_symbols_are_spelled_as_everywhere(self, way, stage):
        """So the same share at two brokers is one instrument: its key is the one that follows from the truth."""
        told = {
            (row["symbol"], row["currency"])
            for account in way.truth(stage.sandbox)
            for row in (*account["positions"], *account["transactions"])
            if row["symbol"]
        }
        instruments = {row.instrument for row in self.records(stage) if row.instrument is not None}
        for account in stage.accounts:
            instruments |= {position.instrument for position in stage.connector.holdings(account).positions}
        assert instruments
        for instrument in instruments:
            assert osi_or_plain(instrument), instrument.symbol
            assert (instrument.symbol, instrument.currency) in told
            assert key_of(instrument).endswith(f":{instrument.symbol}:{instrument.currency}")
            assert (instrument.multiplier == 100) is (instrument.asset_class is AssetClass.OPTION)

    def test_numbers_are_exact_and_the_raw_row_is_kept(self, stage):
        connector = stage.connector
        found: list[Any] = [*connector.accounts(), *self.records(stage)]
        found += [connector.holdings(account) for account in stage.accounts]
        assert [place for thing in found for place in floats(thing, type(thing).__name__)] == []
        for thing in found:
            if isinstance(thing, TransactionRecord):
                assert thing.raw
                assert isinstance(thing.net_amount, Decimal)
            if isinstance(thing, AccountRecord):
                assert len(thing.number_mask) <= 4
            if isinstance(thing, Holdings):
                assert thing.as_of.tzinfo is not None
                assert all(position.raw for position in thing.positions)

    def records(self, stage) -> list[TransactionRecord]:
        connector = stage.connector
        found = [row for account in stage.accounts for row in staging.rows(connector, account, timedelta(days=800))]
        assert not any(isinstance(row, ParkedRecord) for row in found)
        return found

    # --- Pages ----------------------------------------------------------------------------------------------------

    def test_a_long_history_arrives_whole_whatever_the_size_of_a_page(self, way, stage, monkeypatch):
        if way.small_pages is None:
            pytest.skip("the size of a page is the broker's alone")
        whole = self.history(stage)
        way.small_pages(stage.sandbox, monkeypatch)
        assert self.history(stage) == whole
        assert {part: stage.read(part) for part in PARTS} == {part: stage.undisturbed(part) for part in PARTS}

    def test_a_row_read_again_in_a_short_look_back_is_what_it_was(self, stage):
        """Whatever a row needs to be understood has to be known there too, else it would be booked anew."""
        connector = stage.connector
        for account in stage.accounts:
            connector.holdings(account)
            again = {essence(row) for row in staging.rows(connector, account, connector.look_back)}
            assert again <= {essence(row) for row in staging.rows(stage.connector, account, connector.history)}

    @pytest.mark.parametrize("kind", ["truncated_json", "empty_page"])
    def test_an_odd_page_in_the_middle_doubles_and_loses_nothing(self, way, stage, kind):
        whole = self.history(stage)
        with stage.struck(kind, *stage.operations(TRANSACTIONS), times=1, after=1 if kind == "truncated_json" else 0):
            read = self.history(stage, allow=kind == "empty_page")
        assert all(read[account] <= whole[account] for account in read)
        if kind != "empty_page":  # nothing tells an empty window from one in which nothing happened
            assert read == whole

    def test_a_history_read_again_in_doubled_and_mixed_pages_books_nothing(self, way, stage):
        connection = stage.connection
        SyncCursor.objects.filter(account__connection=connection).delete()
        for operation in stage.operations(TRANSACTIONS):
            for kind in ("duplicate_page", "reordered"):
                stage.sandbox.fault(kind, operation, broker=way.broker)
        run = sync(connection)
        assert (run.state, run.inserted, run.superseded, run.parked) == (RunState.SUCCEEDED, 0, 0, 0)
        assert run.fetched == run.matched >= stage.run.fetched
        assert staging.books(connection) == stage.books

    def history(self, stage, *, allow: bool = False) -> dict[str, set[Any]]:
        """{account: all its rows}; with `allow`, an account whose list the connector refuses is left out."""
        connector = stage.connector
        days = connector.history
        found: dict[str, set[Any]] = {}
        for account in stage.accounts:
            try:
                found[account] = set(map(staging.facts, staging.rows(connector, account, days)))
            except BrokerError:
                if not allow:
                    raise
        return found

"""Deleting an account: shown first, done by a worker, and afterwards the person is nowhere."""

from datetime import timedelta
from decimal import Decimal
from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
from allauth.idp.oidc.models import Client as App
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import connection as database
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from aggregation import edits, ledger
from aggregation.models import Instrument, InstrumentChoice, PossibleDuplicate, Source, Transaction, TransferLink
from brokerhub.erasure import deleting, proof, receipts, remains
from brokerhub.erasure.belongings import held
from brokerhub.erasure.models import AccountDeletion, DeletionReceipt
from brokerhub.identity import access
from brokerhub.kernel import tokens
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import ApiToken, OperatorAct, User
from brokerhub.kernel.reauthentication import SIGNED_IN_AT
from brokerhub.tasks import delete_accounts, send_receipts
from comparison.models import BrokerRating, ComparisonBroker, CostSimulation
from connections import connection_manager, leaving
from connections.models import AppCredentials, Connection, ConnectionEvent, UnfinishedRevocation
from health.models import ConnectionMeasure
from sync import drafts
from sync.models import Mode, RunState, SyncRun, Trigger, WordRule
from tests.aggregation.factories import AAPL, a_connection, a_position, a_record, an_account, some_holdings
from tests.sync.samples import fixture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unpaced")]
PAGE, PASSWORD, EMAIL = "/settings/delete/", "correct horse battery", "ada@example.com"


def fill(user: User) -> Connection:
    """A row of nearly everything a person may have, and rows of others that name them."""
    login = a_connection(user, broker_user_key="maria", label=f"Of {user.email}")
    account = an_account(login)
    run = SyncRun.objects.create(
        connection=login, trigger=Trigger.IMPORT, mode=Mode.IMPORT, state=RunState.SUCCEEDED, requested_by=user
    )
    ledger.book(account=account, records=[a_record(str(n)) for n in range(1, 6)], source=Source.API, run_id=run.pk)
    ledger.book(account=account, records=[a_record("2", net_amount=Decimal(-99))], source=Source.API, run_id=run.pk)
    ledger.record_holdings(account=account, holdings=some_holdings(a_position(AAPL)), run_id=run.pk)
    first, second, third = Transaction.objects.filter(account=account).order_by("pk")[:3]
    edits.annotate(first, user=user, note=f"Write to {user.email}", tags=["mine"])
    PossibleDuplicate.objects.create(account=account, first=first, second=second, reasons=["date"], decided_by=user)
    TransferLink.objects.create(outgoing=second, incoming=third, decided_by=user)
    WordRule.objects.create(user=user, broker="schwab", field="type", word="ODD", kind="fee")
    InstrumentChoice.objects.create(
        user=user, instrument=Instrument.objects.get(symbol="AAPL"), account=account, is_same=False
    )
    broker, _ = ComparisonBroker.objects.get_or_create(key="schwab", name="Charles Schwab", role="integrated")
    BrokerRating.objects.create(user=user, broker=broker, overall=4, text=f"Ask {user.email}.", state="approved")
    CostSimulation.objects.create(user=user, inputs={}, key="k", catalogue_version=0, engine_version=1, state="done")
    drafts.begin(user=user, name="a.csv", content=fixture("schwab-brokerage.csv"))
    app = AppCredentials(method="schwab_oauth", environment="sandbox", owner=user)
    app.seal_keys({"app_key": "own"})
    app.save()
    Connection.objects.filter(pk=login.pk).update(app=app)
    ConnectionMeasure.objects.create(connection_id=login.pk, broker="schwab")
    ConnectionEvent.objects.create(connection=login, actor=user, action="connected", to_state="connected")
    ApiToken.objects.create(user=user, name="Script")
    return login


def sign_in(email: str = EMAIL) -> Client:
    client = Client()
    client.force_login(User.objects.get(email=email), backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def everything(*, but: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Every row of every table as text."""
    found = {}
    with database.cursor() as cursor:
        for table in sorted(set(database.introspection.table_names(cursor)) - set(but)):
            cursor.execute(f'SELECT t::text FROM "{table}" t ORDER BY 1')
            found[table] = [text for (text,) in cursor.fetchall()]
    return found


def deleted(user: User) -> receipts.Receipt:
    """What is kept to be told, after the deletion and before the mail."""
    deleting.ask(user)
    assert deleting.work_off() == 1
    return receipts.read(DeletionReceipt.objects.get())


def rows_pointing_at(user_id: int) -> dict[str, int]:
    """By every foreign key to people."""
    found = {}
    with database.cursor() as cursor:
        for table in database.introspection.table_names(cursor):
            for column, (_, other) in database.introspection.get_relations(cursor, table).items():
                if other == "kernel_user":
                    cursor.execute(f'SELECT count(*) FROM "{table}" WHERE "{column}"::text = %s', [str(user_id)])
                    found[f"{table}.{column}"] = cursor.fetchone()[0]
    return found


def test_the_page_asks_for_the_password_and_counts_what_would_go(person: User, web: Client) -> None:
    session = web.session
    session[SIGNED_IN_AT] = 0
    session.save()
    asked = web.get(PAGE)
    assert (asked.status_code, "reauthenticate" in asked["Location"]) == (302, True), "the password, once more"
    login = fill(person)
    shown = sign_in().get(PAGE).content.decode()
    assert login.label in shown
    assert "Transactions" in shown
    assert f"<strong>{sum(held(person).values())} rows</strong>" in shown
    assert Transaction.objects.count() > 0


@pytest.mark.parametrize("typed", ["", "charlie@example.com"])
def test_without_the_right_address_nothing_happens(person: User, stranger: User, typed: str) -> None:
    answer = sign_in().post(PAGE, {"email": typed})
    assert answer.status_code == 422
    assert not AccountDeletion.objects.exists()


def test_an_operator_is_sent_to_another_operator(person: User) -> None:
    User.objects.filter(pk=person.pk).update(is_staff=True)
    client = Client()
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    with pytest.raises(NotAllowed, match="operator"):
        deleting.ask(User.objects.get(pk=person.pk))
    assert not AccountDeletion.objects.exists()


def test_everything_of_the_person_is_erased_nothing_of_anybody_else_and_a_receipt_goes_out(
    person: User, stranger: User, sign_up: Any
) -> None:
    other = fill(stranger)
    before = {table: [row for row in rows if EMAIL not in row] for table, rows in everything().items()}
    login = fill(person)
    operator = User.objects.create_superuser("root@example.com", PASSWORD)
    for changed in (person, login, other):
        LogEntry.objects.create(
            user=operator,
            content_type=ContentType.objects.get_for_model(changed),
            object_id=str(changed.pk),
            object_repr=str(changed),
            action_flag=CHANGE,
            change_message=f"about {changed}",
        )
    here, elsewhere, third = sign_in(), sign_up(person), sign_in("charlie@example.com")

    asked = here.post(PAGE, {"email": "Ada@Example.com"})
    assert asked.status_code == 200
    assert "Your account is being deleted" in asked.content.decode()
    assert "_auth_user_id" not in here.session
    assert elsewhere.get("/portfolio/").status_code == 302, "signed out in every browser"
    again = Client().post(reverse("account_login"), {"login": EMAIL, "password": PASSWORD})
    assert "_auth_user_id" not in again.client.session, "and nobody gets in any more"

    delete_accounts()
    assert not User.objects.filter(email=EMAIL).exists()
    left = [table for table, rows in everything().items() for row in rows if EMAIL in row or str(login.pk) in row]
    assert left == []
    pointing = rows_pointing_at(person.pk)
    assert len(pointing) > 20
    assert {name: count for name, count in pointing.items() if count} == {}
    assert all(entry.get_decoded().get("_auth_user_id") != str(person.pk) for entry in Session.objects.all())

    after = everything()
    for table in ("connections_connection", "aggregation_transaction", "aggregation_position", "sync_importdraft"):
        assert len(before[table]) > 0
        assert set(before[table]) <= set(after[table])
    assert third.get("/portfolio/").status_code == 200
    kept = LogEntry.objects.filter(user=operator)
    assert [entry.object_repr for entry in kept.order_by("pk")] == ["(deleted account)"] * 2 + [str(other)]

    [receipt] = mail.outbox
    assert receipt.to == [EMAIL]
    assert f"Of {EMAIL} (Charles Schwab)" in receipt.body
    assert "- transactions: 6" in receipt.body
    assert "It found nothing." in receipt.body


def test_what_is_found_afterwards_is_said(person: User, stranger: User, caplog: Any) -> None:
    User.objects.filter(pk=stranger.pk).update(name=f"Friend of {EMAIL}")
    deleted(person)
    send_receipts()
    assert "still found some in: kernel_user." in mail.outbox[0].body
    assert "account_left_traces" in caplog.text


def test_what_a_former_operator_did_stays_in_the_log_under_nobodys_name(person: User, stranger: User) -> None:
    about = ContentType.objects.get_for_model(User)
    LogEntry.objects.create(
        user=person, content_type=about, object_id=str(stranger.pk), object_repr="Charlie", action_flag=CHANGE
    )
    deleted(person)
    entry = LogEntry.objects.get()
    assert (entry.object_repr, entry.user.name, entry.user.is_active) == ("Charlie", "Deleted operator", False)
    assert not entry.user.has_usable_password()


def about(row: Any, by: User, **said: Any) -> LogEntry:
    kind = ContentType.objects.get_for_model(row)
    said = {"object_repr": str(row), "action_flag": CHANGE} | said
    return LogEntry.objects.create(user=by, content_type=kind, object_id=str(row.pk), **said)


def test_the_log_forgets_rows_of_the_person_that_went_before(person: User, stranger: User) -> None:
    operator = User.objects.create_superuser("root@example.com", PASSWORD)
    lens = App.objects.create(name="Lens")
    for user in (person, stranger):
        access.end(access.grant(user=user, client=lens, scopes=["health:read"]), by=user)
        revoked, _ = tokens.make(user=user, name="Revoked script", scopes=[], lasts=timedelta(days=1))
        tokens.revoke(revoked, by=user)
        row, _ = tokens.make(user=user, name="Script", scopes=[], lasts=timedelta(days=1))
        about(row, operator, change_message="Looked at")
    receipt = deleted(person)
    of_the_person = LogEntry.objects.exclude(user=stranger).exclude(object_id__in=ids_of_tokens(stranger))
    assert {entry.object_repr for entry in of_the_person} == {"(deleted account)"}
    assert of_the_person.count() == 6
    theirs = [entry.object_repr for entry in LogEntry.objects.filter(user=stranger).order_by("pk")]
    assert [text.partition(" (")[0] for text in theirs] == [
        *["Lens for charlie@example.com"] * 2,
        *["Revoked script"] * 2,
        "Script",
    ]
    assert proof.search(user_id=receipt.user_id, words=receipt.traces).left_in == []


def ids_of_tokens(user: User) -> list[str]:
    return [str(pk) for pk in ApiToken.objects.filter(user=user).values_list("pk", flat=True)]


def test_the_log_forgets_what_names_the_person_and_nothing_else_of_others(person: User, stranger: User) -> None:
    operator = User.objects.create_superuser("root@example.com", PASSWORD)
    others = a_connection(stranger, label="Roth")
    naming = about(others, operator, change_message=f"Not that of {EMAIL.upper()}")
    reasoned = about(others, operator, change_message="Paused")
    OperatorAct.objects.filter(entry=reasoned).update(why=f"As {EMAIL} asked")
    silent = about(others, operator, change_message="Went on")
    ended = about(a_connection(stranger, label="Ended"), person, change_message="Removed")  # as an operator once
    OperatorAct.objects.filter(entry=ended).update(why="Charlie asked")
    Connection.objects.filter(label="Ended").delete()
    deleted(person)
    said = {entry.pk: (entry.object_repr, entry.change_message, entry.act.why) for entry in LogEntry.objects.all()}
    assert said == {
        naming.pk: ("(deleted account)", "", ""),
        reasoned.pk: (str(others), "Paused", ""),
        silent.pk: (str(others), "Went on", ""),
        ended.pk: (ended.object_repr, "Removed", "Charlie asked"),
    }


def test_access_at_the_broker_is_ended(connect_robinhood: Any, person: User, sandbox: Any) -> None:
    connect_robinhood(person)
    assert [line["outcome"] for line in deleted(person).access] == ["Ended"]
    assert sandbox.end_tokens("james", revoke=True, broker="robinhood")["revoked"] == 0
    assert not UnfinishedRevocation.objects.exists()


def test_access_that_cannot_be_ended_at_once_is_tried_on_without_a_name(
    connect_robinhood: Any, person: User, sandbox: Any
) -> None:
    connect_robinhood(person)
    sandbox.fault("503", "revoke", broker="robinhood")
    receipt = deleted(person)
    assert "tries again for a day" in receipt.access[0]["outcome"]
    assert proof.search(user_id=receipt.user_id, words=receipt.traces).left_in == []
    owed = UnfinishedRevocation.objects.get()
    assert (owed.user, owed.label) == (None, "")


def test_a_worker_that_dies_in_the_middle_is_followed_by_another(person: User, monkeypatch: Any) -> None:
    fill(person)
    fill_again = a_connection(person, label="Second")
    deleting.ask(person)
    leave = deleting._leave
    left: list[Connection] = []

    def die_at_the_second(deletion: AccountDeletion, connection: Connection) -> None:
        if left:
            raise KeyboardInterrupt
        left.append(connection)
        leave(deletion, connection)

    monkeypatch.setattr(deleting, "_leave", die_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        deleting.work_off()
    monkeypatch.undo()
    assert deleting.work_off() == 0, "it is still held by the one that died"
    AccountDeletion.objects.update(held_until="1970-01-01T00:00Z")
    assert deleting.work_off() == 1
    receipt = receipts.read(DeletionReceipt.objects.get())
    assert [line["label"] for line in receipt.access] == [f"Of {EMAIL}", fill_again.label]
    assert not User.objects.filter(email=EMAIL).exists()


def test_a_connection_stands_in_the_receipt_though_the_worker_died_while_its_broker_answered(
    connect_robinhood: Any, person: User, monkeypatch: Any
) -> None:
    connect_robinhood(person)
    left_to_do = connection_manager.left_to_do(Connection.objects.get())

    def die(owed: UnfinishedRevocation) -> None:
        raise KeyboardInterrupt

    deleting.ask(person)
    with monkeypatch.context() as patched:
        patched.setattr(leaving, "settle", die)
        with pytest.raises(KeyboardInterrupt):
            deleting.work_off()
    assert not Connection.objects.exists()
    AccountDeletion.objects.update(held_until="1970-01-01T00:00Z")
    assert deleting.work_off() == 1
    [line] = receipts.read(DeletionReceipt.objects.get()).access
    assert (line["outcome"], line["left"]) == ("Not ended yet: the hub tries again for a day", left_to_do)
    assert UnfinishedRevocation.objects.exists()


def test_a_worker_that_died_before_it_left_a_connection_leaves_one_line(person: User, monkeypatch: Any) -> None:
    def die(**_: Any) -> None:
        raise KeyboardInterrupt

    fill(person)
    deleting.ask(person)
    with monkeypatch.context() as patched:
        patched.setattr(connection_manager, "disconnect", die)
        with pytest.raises(KeyboardInterrupt):
            deleting.work_off()
    AccountDeletion.objects.update(held_until="1970-01-01T00:00Z")
    assert deleting.work_off() == 1
    assert len(receipts.read(DeletionReceipt.objects.get()).access) == 1


def test_access_given_to_an_app_of_ones_own_is_not_tried_on(connect_robinhood: Any, person: User, sandbox: Any) -> None:
    connect_robinhood(person)
    app = AppCredentials.objects.create(method="robinhood_oauth", environment="sandbox", owner=person)
    app.seal_keys({"client_id": "own"})
    app.save()
    Connection.objects.update(app=app)
    sandbox.fault("503", "revoke", broker="robinhood")
    assert [line["outcome"] for line in deleted(person).access] == ["Could not be ended from here"]
    assert not UnfinishedRevocation.objects.exists()


# --- The receipt ------------------------------------------------------------------------------------------------------
@pytest.fixture
def mail_is_away(monkeypatch: Any) -> list[str]:
    """Whom somebody tried to reach."""
    tried: list[str] = []

    def refuse(subject: str, text: str, sender: None, recipients: list[str]) -> int:
        tried.extend(recipients)
        raise SMTPServerDisconnected(f"Nobody there for {recipients}")

    monkeypatch.setattr(receipts, "send_mail", refuse)
    return tried


def test_one_deletion_that_fails_costs_nobody_their_receipt(person: User, stranger: User, monkeypatch: Any) -> None:
    leaving, going = deleting.ask(stranger), deleting.ask(person)
    forget = remains.forget_in_log

    def fail_for_the_stranger(user: User, *more: Any) -> None:
        if user.pk == leaving.user_id:
            raise RuntimeError("a bug")
        forget(user, *more)

    monkeypatch.setattr(remains, "forget_in_log", fail_for_the_stranger)
    with pytest.raises(ExceptionGroup):
        delete_accounts()
    assert not AccountDeletion.objects.filter(pk=going.pk).exists()
    assert [each.to for each in mail.outbox] == [[EMAIL]]


def test_a_worker_that_dies_after_the_erasure_leaves_the_receipt_to_another(person: User, monkeypatch: Any) -> None:
    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    deleting.ask(person)
    with monkeypatch.context() as patched:
        patched.setattr(receipts, "_send", die)
        with pytest.raises(KeyboardInterrupt):
            delete_accounts()
    send_receipts()
    assert mail.outbox == [], "it is still held by the one that died"
    DeletionReceipt.objects.update(next_at=timezone.now())
    send_receipts()
    send_receipts()
    assert [each.to for each in mail.outbox] == [[EMAIL]]
    assert not DeletionReceipt.objects.exists()


def test_without_its_receipt_nobody_is_erased(person: User, monkeypatch: Any) -> None:
    def fail(receipt: receipts.Receipt) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(receipts, "keep", fail)
    deleting.ask(person)
    with pytest.raises(ExceptionGroup):
        delete_accounts()
    assert User.objects.filter(email=EMAIL).exists()
    assert AccountDeletion.objects.exists()


def test_while_mail_is_away_the_receipt_waits_sealed_and_the_search_is_made_once(
    person: User, mail_is_away: list[str], monkeypatch: Any, caplog: Any
) -> None:
    searches: list[int] = []
    search = proof.search

    def count(**given: Any) -> proof.Search:
        searches.append(given["user_id"])
        return search(**given)

    monkeypatch.setattr(proof, "search", count)
    deleting.ask(person)
    waits = []
    for _ in range(8):
        delete_accounts()
        send_receipts()  # not due: it does nothing
        waits.append(round((DeletionReceipt.objects.get().next_at - timezone.now()).total_seconds() / 60))
        DeletionReceipt.objects.update(next_at=timezone.now())
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert (mail_is_away, searches) == ([EMAIL] * 8, [person.pk])
    found = receipts.read(DeletionReceipt.objects.get()).found
    assert found is not None
    assert found.left_in == []
    assert [row for rows in everything().values() for row in rows if EMAIL in row] == []
    assert EMAIL not in caplog.text
    monkeypatch.undo()
    send_receipts()
    assert "It found nothing." in mail.outbox[0].body


def test_after_a_week_it_is_given_up(person: User, mail_is_away: list[str], caplog: Any) -> None:
    deleted(person)
    DeletionReceipt.objects.update(made_at=timezone.now() - timedelta(days=6, hours=23), attempts=500)
    send_receipts()
    assert DeletionReceipt.objects.exists()
    past = timezone.now() - timedelta(days=7, minutes=1)
    DeletionReceipt.objects.update(made_at=past, next_at=past)
    send_receipts()
    assert not DeletionReceipt.objects.exists()
    assert "deletion_receipt_given_up" in caplog.text


def test_a_receipt_that_cannot_be_read_stops_no_other(person: User, stranger: User) -> None:
    deleted(stranger)
    DeletionReceipt.objects.update(sealed_content=b"broken")
    deleting.ask(person)
    with pytest.raises(ExceptionGroup):
        delete_accounts()
    assert [each.to for each in mail.outbox] == [[EMAIL]]
    assert DeletionReceipt.objects.get().next_at > timezone.now()

"""What the contract asks of a connector when the broker fails: limits, faults, changed answers, lost tokens."""

from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from connections.brokers import transport
from connections.brokers.base import BrokerError, BrokerUnavailable, NeedsReauth, RateLimited
from connections.states import ConnectionState
from sync.models import RunState
from tests.conformance import stage as staging
from tests.conformance.stage import leaks, request, said, secrets_of, sync
from tests.conformance.ways import ACCOUNTS, HOLDINGS, PARTS, TRANSACTIONS

# Faults by what a reading may come to. `how` is what the sandbox needs to know, None where it depends on the operation.
# Each entry strikes at once.
HARMLESS: tuple[tuple[tuple[str, dict[str, Any]], ...], ...] = (
    (
        ("latency", {"seconds": 0.01, "times": 1}),
        ("duplicate_page", {}),
        ("reordered", {}),
        ("schema_drift", {"change": "add", "to": "brand_new"}),
    ),
    *(((kind, {"times": 1}),) for kind in ("500", "503", "reset", "html", "truncated_json")),
)
LASTING: tuple[tuple[str, dict[str, Any]], ...] = (
    ("401", {}),
    ("403", {}),
    ("410", {}),
    ("429", {"retry_after": 120}),
    ("500", {}),
    ("503", {"retry_after": 120}),
    ("html", {}),
    ("route_missing", {}),
    ("reset", {}),
    ("truncated_json", {}),
)
CHANGED = (("rename", "schema_drift"), ("type", "schema_drift"), ("", "empty_page"))
BREAKING = ("500", "403", "schema_drift", "html", "410", "reset", "truncated_json", "429")


class FaultContract:
    """Only errors of a known kind come out, the books stay as they were, and heal when the fault is gone."""

    @pytest.mark.parametrize("part", PARTS)
    def test_a_limit_says_until_when_to_wait(self, stage, part):
        for number, operation in enumerate(stage.operations(part), start=PARTS.index(part)):
            asked = (120, None, 10**9)[number % 3]
            with stage.struck("429", operation, retry_after=asked), pytest.raises(RateLimited) as raised:
                stage.read(part)
            assert raised.value.retry_at is not None
            wait = raised.value.retry_at - timezone.now()
            assert timedelta(0) < wait <= timedelta(days=1)
            assert asked != 120 or wait > timedelta(seconds=100)

    # --- Faults ---------------------------------------------------------------------------------------------------

    def test_a_fault_that_passes_changes_nothing_that_is_read(self, way, stage):
        good = {part: stage.undisturbed(part) for part in PARTS}
        complaints = []
        for faults in HARMLESS:
            with ExitStack() as struck:
                for kind, how in faults:
                    struck.enter_context(stage.struck(kind, *way.reading & stage.called, **how))
                connector = stage.connector
                try:
                    found = {part: staging.read(connector, part, stage.accounts) for part in PARTS}
                except BrokerError as error:
                    complaints.append(f"{faults}: {error!r}")
                else:
                    complaints += [f"{faults}: {part} read otherwise" for part in PARTS if found[part] != good[part]]
        assert not complaints, "\n".join(complaints)

    @pytest.mark.parametrize("part", PARTS)
    def test_a_fault_that_lasts_is_an_error_of_a_known_kind(self, stage, part, monkeypatch):
        monkeypatch.setattr(transport, "ATTEMPTS", 1)
        secrets = secrets_of(stage.connection)
        complaints = []
        for number, operation in enumerate(stage.operations(part)):
            for kind, how in self.some(LASTING, number, of=len(stage.operations(part))):
                with stage.struck(kind, operation, **how):
                    try:
                        stage.read(part)
                        complaints.append(f"{operation} {kind}: no error")
                    except BrokerError as error:
                        if leaks(said(error), secrets) or not str(error):
                            complaints.append(f"{operation} {kind}: leaks or says nothing")
        assert not complaints, "\n".join(complaints)

    @pytest.mark.parametrize("part", PARTS)
    def test_an_answer_that_does_not_come_is_not_waited_for(self, stage, part, monkeypatch, settings):
        monkeypatch.setattr(transport, "ATTEMPTS", 1)
        settings.BROKER_READ_TIMEOUT = 0.2
        for operation in list(stage.operations(part))[-1:]:
            with stage.struck("timeout", operation), pytest.raises(BrokerUnavailable, match="did not answer in time"):
                stage.read(part)

    def some(self, faults, number: int, *, of: int) -> list[Any]:
        """All of them; where a part has many operations, read alike, each meets two, and together they meet all."""
        return faults if of <= 2 else [faults[(number * 2 + place) % len(faults)] for place in range(2)]

    @pytest.mark.parametrize("part", PARTS)
    def test_a_changed_or_empty_answer_is_never_read_as_less(self, way, stage, part):
        """An error, or what was there before; of transactions, rows that wait until somebody has looked at them."""
        good = stage.undisturbed(part)
        complaints = []
        for number, (operation, name) in enumerate(stage.operations(part).items()):
            for change, kind in self.some(CHANGED, number, of=len(stage.operations(part))):
                if kind == "empty_page" and operation in way.unprovable:
                    continue
                with stage.struck(kind, operation, **({"change": change, "field": name} if change else {})):
                    try:
                        found = stage.read(part)
                    except BrokerError:
                        continue
                if found != good and not self.is_known_less(part, found, good, kind, operation in way.prices):
                    complaints.append(f"{operation} {kind} {change}: read otherwise")
        assert not complaints, "\n".join(complaints)

    def is_known_less(self, part, found, good, kind, only_prices) -> bool:
        """Rows of an emptied list are missing; rows nobody understands are parked, each; a price may be unknown."""
        if part == HOLDINGS and only_prices:
            return {account: self.held(found[account]) for account in found} == {
                account: self.held(good[account]) for account in good
            }
        if part == ACCOUNTS and kind == "empty_page":  # what the books are guarded against by the sync
            return found[0] == good[0] and {row[0] for row in found[1]} <= {row[0] for row in good[1]}
        if part != TRANSACTIONS:
            return False
        if kind == "empty_page":
            return all(found[account] <= good[account] for account in good)
        return all(len(found[account]) == len(good[account]) for account in good)

    def held(self, told) -> tuple[set[Any], set[Any]]:
        """Positions by instrument, quantity and cost, balances by currency and cash."""
        positions, balances = told
        return {position[:3] for position in positions}, {balance[:2] for balance in balances}

    @pytest.mark.parametrize("part", PARTS)
    def test_a_broken_part_leaves_the_books_and_heals(self, way, stage, part):
        complaints = []
        operations = list(stage.operations(part).items())
        for number, (operation, name) in enumerate(operations[:: 1 + len(operations) // 5]):
            rotated = BREAKING[(number + PARTS.index(part)) % len(BREAKING)]
            # A transaction that is not told any more stays booked; what is held has to be guarded.
            for kind in (rotated,) if part == TRANSACTIONS else (rotated, "empty_page"):
                how: dict[str, Any] = {"field": name} if kind == "schema_drift" else {}
                with stage.struck(kind, operation, **how):
                    request(stage.connection)
                if staging.books(stage.connection) != stage.books:
                    complaints.append(f"{operation} {kind}: the books changed")
        run, connection = sync(stage.connection), stage.connection
        if run.state != RunState.SUCCEEDED:  # an open one that had parts failing ends first
            run, connection = sync(stage.connection), stage.connection
        assert not complaints, "\n".join(complaints)
        assert (run.state, run.error, connection.state) == (RunState.SUCCEEDED, "", ConnectionState.CONNECTED)
        assert staging.books(connection) == stage.books

    def test_a_token_that_ends_on_the_way_is_renewed_or_asked_for(self, way, stage):
        if not way.sign_in:
            pytest.skip("there are no tokens but the keys")
        good = stage.undisturbed(HOLDINGS)
        operation = list(stage.operations(HOLDINGS))[-1]
        if way.renewal:
            with stage.struck("expired_token", operation, times=1):
                assert stage.read(HOLDINGS) == good
            stage.sign_in_again()
        with stage.struck("revoked_token", operation, times=1), pytest.raises(NeedsReauth):
            stage.read(HOLDINGS)
        stage.sign_in_again()
        assert stage.read(HOLDINGS) == good

"""One instrument for one thing, however its sources spell it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from aggregation.instruments import resolve
from aggregation.models import Instrument
from aggregation.positions.naming import is_cusip
from connections.brokers.records import AssetClass, InstrumentRecord
from tests.aggregation.factories import AAPL, CALL

pytestmark = pytest.mark.django_db
BY_CUSIP = InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="037833100")


def resolve_one(record: InstrumentRecord) -> Instrument:
    return Instrument.objects.get(pk=resolve([record])[record])


@pytest.mark.parametrize("text", ["037833100", "921937835", "38259P508", "68389X105"])
def test_a_cusip_is_known_by_its_check_digit(text):
    assert is_cusip(text)
    assert not is_cusip(text[:8] + str((int(text[8]) + 1) % 10))


def test_symbols_are_not_taken_for_cusips():
    assert not any(map(is_cusip, ["AAPL", "BRK.B", "", "AAPL  270115C00240000", "03783310"]))


def test_the_same_share_from_two_sources_is_one_instrument():
    assert resolve_one(AAPL) == resolve_one(InstrumentRecord(asset_class=AssetClass.OTHER, symbol="AAPL"))
    assert resolve_one(AAPL).key == "security:AAPL:USD"


def test_the_same_symbol_of_another_family_or_currency_is_another_instrument():
    same_symbol = [AAPL, replace(AAPL, asset_class=AssetClass.CRYPTO), replace(AAPL, currency="EUR", cusip="")]
    assert len(set(resolve(same_symbol).values())) == 3


def test_what_a_better_source_tells_is_filled_in_and_never_overwritten():
    resolve_one(InstrumentRecord(asset_class=AssetClass.OTHER, symbol="AAPL"))
    resolve_one(AAPL)
    row = resolve_one(replace(AAPL, name="Another name", asset_class=AssetClass.ETF, isin="US0378331005"))
    assert (row.asset_class, row.name, row.cusip, row.isin) == ("equity", "Apple Inc", "037833100", "US0378331005")


def test_an_options_multiplier_and_underlying_are_kept():
    row = resolve_one(CALL)
    assert (row.key, row.underlying, row.multiplier) == ("option:AAPL  270115C00240000:USD", "AAPL", Decimal(100))


def test_people_read_a_symbol_an_options_terms_or_a_bonds_name():
    note = InstrumentRecord(asset_class=AssetClass.BOND, symbol="91282CHT1", name="US Treasury Note 3.875% 2033")
    shown = [(row.title, row.subtitle) for row in map(resolve_one, [AAPL, CALL, note])]
    assert shown == [
        ("AAPL", "Apple Inc"),
        ("AAPL 15 Jan 2027 240 Call", ""),
        ("US Treasury Note 3.875% 2033", "91282CHT1"),
    ]


def test_a_cusip_in_place_of_a_symbol_is_understood():
    assert resolve_one(AAPL) == resolve_one(BY_CUSIP)
    assert Instrument.objects.count() == 1


def test_both_spellings_in_one_batch_are_one_instrument():
    ids = resolve([BY_CUSIP, AAPL])
    assert ids[BY_CUSIP] == ids[AAPL]


def test_an_instrument_met_by_its_cusip_takes_its_symbol_when_it_is_told():
    provisional = resolve_one(BY_CUSIP)
    assert provisional.symbol == provisional.cusip == "037833100"
    known = resolve_one(AAPL)
    assert (known.pk, known.symbol, known.key) == (provisional.pk, "AAPL", "security:AAPL:USD")
    assert resolve_one(BY_CUSIP).pk == provisional.pk


def test_a_name_with_the_character_nul_is_kept_without_it():
    assert resolve_one(replace(AAPL, name="Apple\0 Inc")).name == "Apple Inc"


GOOGLE = "02079K107"


def test_the_same_symbol_with_another_number_is_another_instrument_in_whatever_order():
    renumbered = replace(AAPL, cusip=GOOGLE)
    bare = replace(AAPL, cusip="")
    ids = resolve([renumbered, AAPL, bare])
    assert ids[renumbered] != ids[AAPL]
    assert resolve([AAPL]) | resolve([renumbered]) == {record: ids[record] for record in (AAPL, renumbered)}
    assert sorted(Instrument.objects.values_list("key", "cusip")) == [
        ("security:AAPL:USD", GOOGLE),
        ("security:AAPL:USD:037833100", "037833100"),
    ]


def test_a_row_known_by_its_symbol_alone_learns_one_number_and_not_two():
    bare = resolve_one(replace(AAPL, cusip=""))
    ids = resolve([AAPL, replace(AAPL, cusip=GOOGLE)])
    assert sorted(ids.values())[0] == bare.pk
    assert len(set(ids.values())) == 2
    assert {row.cusip for row in Instrument.objects.all()} == {"037833100", GOOGLE}


def test_every_spelling_of_a_class_share_and_of_a_coin_is_one_row():
    shares = [replace(AAPL, symbol=text, cusip="") for text in ("BRK.B", "BRK B", "BRK/B", "BRK-B")]
    coins = [InstrumentRecord(asset_class=AssetClass.CRYPTO, symbol=text) for text in ("BTC", "BTC-USD", "BTCUSD")]
    ids = resolve([*shares, *coins])
    assert (len({ids[share] for share in shares}), len({ids[coin] for coin in coins})) == (1, 1)
    assert set(Instrument.objects.values_list("symbol", flat=True)) == {"BRK.B", "BTC"}


def test_a_row_booked_under_an_older_spelling_is_found_again():
    old = Instrument.objects.create(key="security:BRK-B:USD", asset_class="equity", symbol="BRK-B", currency="USD")
    assert resolve_one(replace(AAPL, symbol="BRK-B", cusip="")).pk == old.pk


def test_the_number_within_an_american_isin_is_its_cusip():
    row = resolve_one(replace(AAPL, cusip="", isin="US0378331005"))
    assert row.cusip == "037833100"
    assert resolve_one(BY_CUSIP).pk == row.pk


def test_a_contract_id_is_learnt():
    resolve_one(AAPL)
    assert resolve_one(replace(AAPL, conid="265598")).conid == "265598"

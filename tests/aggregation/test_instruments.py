"""One instrument for one thing, however its sources spell it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from aggregation.instruments import is_cusip, resolve
from aggregation.models import Instrument
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

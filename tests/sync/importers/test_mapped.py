"""Files of any layout, read as a person says; and the layouts we know of programs that keep portfolios."""

import json
from datetime import date
from decimal import Decimal as D

import pytest

from connections.brokers.records import AssetClass, TransactionKind
from sync.importers import reader
from sync.importers.base import AS_PRINTED, Choices, FileNotRead, ParsedFile
from sync.importers.guessing import guess, meaning_of
from sync.importers.mapped import MappedFormat
from sync.importers.mapping import FIELDS, ColumnMapping, MappingRefused
from sync.importers.tabular import Columns
from tests.sync.importers.reading import booked, parse, reasons

K = TransactionKind
OWN = ColumnMapping(
    columns={
        "date": ("When",),
        "word": ("What",),
        "symbol": ("Ticker", "ISIN"),
        "quantity": ("Units",),
        "price": ("Each",),
        "amount": ("Sum",),
        "fees": ("Charge",),
        "currency": ("Money",),
    },
    words={"Gekauft": "buy", "Verkauft": "sell", "Ertrag": "dividend", "Saldo": "skip", "Umzug": "transfer_in"},
    currency="EUR",
)
HEADER = "My depot\nWhen;What;Ticker;ISIN;Units;Each;Sum;Charge;Money\n"


def read(text: str, mapping: ColumnMapping = OWN, choices: Choices = AS_PRINTED) -> ParsedFile:
    return MappedFormat(mapping).parse(reader.read(text.encode()), choices)


def test_columns_words_and_a_currency_are_as_the_person_says() -> None:
    parsed = read(
        HEADER
        + "31.01.2025;gekauft;AAA;;10;1.234,50;-12.350,00;5,00;\n"
        + "01.02.2025;Ertrag;;US0000000001;;;12,34;;USD\n"
        + "02.02.2025;Saldo;;;;;999,99;;\n"
    )
    bought, paid = booked(parsed)
    assert (bought.kind, bought.traded_on, bought.quantity, bought.price) == (
        K.BUY,
        date(2025, 1, 31),
        D(10),
        D("1234.50"),
    )
    assert (bought.net_amount, bought.fees, bought.currency) == (D("-12350.00"), D("5.00"), "EUR")
    assert paid.instrument is not None
    assert (paid.instrument.isin, paid.currency, paid.net_amount) == ("US0000000001", "USD", D("12.34"))
    assert [row.reason for row in parsed.skipped] == ["left out by your mapping"]


def test_a_word_without_a_meaning_is_kept_as_other() -> None:
    parsed = read(HEADER + "31.01.2025;Rätsel;AAA;;1;;-7,00;;\n")
    (record,) = booked(parsed)
    assert (record.kind, record.net_amount, record.quantity) == (K.OTHER, D("-7.00"), D(1))
    assert "“Rätsel” is not a word the hub knows; the row is kept as “other”." in parsed.rows[0].warnings


def test_what_the_file_leaves_open_is_asked_and_the_answer_can_stand_in_the_mapping() -> None:
    text = HEADER + "03.02.2025;Ertrag;AAA;;;;1.234;;\n"
    assert {question.about for question in read(text).questions} == {"date_order", "decimal"}
    answered = read(text, choices=Choices(date_order="dmy", decimal=","))
    assert answered.questions == ()
    saved = ColumnMapping.from_dict(OWN.as_dict() | {"date_order": "dmy", "decimal": ","})
    assert read(text, saved) == answered
    (record,) = booked(answered)
    assert (record.traded_on, record.net_amount) == (date(2025, 2, 3), D(1234))


def test_a_file_without_a_currency_column_asks_for_the_currency() -> None:
    mapping = ColumnMapping(columns={"date": ("Day",), "amount": ("Sum",)})
    (question,) = read("Day,Sum\n2025-01-31,5\n", mapping).questions
    assert question.about == "currency"
    (record,) = booked(read("Day,Sum\n2025-01-31,5\n", mapping, Choices(currency="CHF")))
    assert (record.kind, record.currency) == (K.DEPOSIT, "CHF")


@pytest.mark.parametrize(
    ("row", "kind", "net"),
    [
        ("2025-01-31,AAA,5,-50", K.BUY, -50),
        ("2025-01-31,AAA,5,50", K.SELL, 50),
        ("2025-01-31,AAA,-5,50", K.SELL, 50),
        ("2025-01-31,,,50", K.DEPOSIT, 50),
        ("2025-01-31,,,-50", K.WITHDRAWAL, -50),
    ],
)
def test_without_a_column_that_says_what_happened_the_signs_do(row: str, kind: TransactionKind, net: int) -> None:
    mapping = ColumnMapping(
        columns={"date": ("Day",), "symbol": ("Paper",), "quantity": ("Units",), "amount": ("Sum",)}, currency="USD"
    )
    (record,) = booked(read(f"Day,Paper,Units,Sum\n{row}\n", mapping))
    assert (record.kind, record.net_amount) == (kind, D(net))


def test_amounts_without_a_sign_take_it_from_what_happened_and_fees_may_come_on_top() -> None:
    mapping = ColumnMapping.from_dict(OWN.as_dict() | {"signed": False, "fees_on_top": True})
    records = booked(
        read(
            HEADER
            + "31.01.2025;Gekauft;AAA;;10;1,50;15,00;1,25;\n"
            + "31.01.2025;Verkauft;AAA;;10;1,50;15,00;1,25;\n"
            + "31.01.2025;Gekauft;AAA;;2;1,50;;1,25;\n",
            mapping,
        )
    )
    assert [record.net_amount for record in records] == [D("-16.25"), D("13.75"), D("-4.25")]
    assert [record.gross_amount for record in records] == [D("-15.00"), D("15.00"), D("-3.00")]


def test_a_transfer_with_units_moves_securities_and_one_without_moves_money() -> None:
    shares, money = booked(read(HEADER + "31.01.2025;Umzug;AAA;;10;1,50;15,00;;\n" + "31.01.2025;Umzug;;;;;15,00;;\n"))
    assert (shares.kind, shares.quantity, shares.net_amount) == (K.TRANSFER_IN, D(10), 0)
    assert (money.kind, money.quantity, money.net_amount) == (K.TRANSFER_IN, None, D("15.00"))


def test_a_trade_of_nothing_named_is_parked_and_one_with_a_name_only_is_noted() -> None:
    mapping = ColumnMapping.from_dict(OWN.as_dict() | {"columns": {**OWN.as_dict()["columns"], "name": ["ISIN"]}})
    assert reasons(read(HEADER + "31.01.2025;Gekauft;;;1;1,50;-1,50;;\n")) == [
        "A trade needs a symbol, an ISIN or a name."
    ]
    named = ColumnMapping.from_dict(
        mapping.as_dict() | {"columns": mapping.as_dict()["columns"] | {"symbol": "Ticker"}}
    )
    parsed = read(HEADER + "31.01.2025;Gekauft;;Some Bakery;1;1,50;-1,50;;EUR\n", named)
    (record,) = booked(parsed)
    assert record.instrument is not None
    assert record.instrument.symbol == "SOME.BAKERY"
    assert parsed.rows[0].warnings == ("It has neither symbol nor ISIN; its name stands for it.",)


def test_a_file_that_lacks_a_mapped_column_is_not_read() -> None:
    with pytest.raises(FileNotRead, match="lacks columns"):
        read("When;What\n2025-01-31;Gekauft\n")
    assert MappedFormat(OWN).detect(reader.read(HEADER.encode())) is not None
    assert MappedFormat(OWN).detect(reader.read(b"When;What\n")) is None


def test_words_that_are_meanings_need_no_entry_unless_some_were_said() -> None:
    columns = {"date": "Date", "word": "What", "symbol": "Ticker", "quantity": "Qty", "amount": "Total"}
    content = (
        "Date,What,Ticker,Qty,Total\n2025-01-31,Buy,AAPL,2,-10.00\n2025-01-31,FEE,,,-1.00\n2025-01-31,Odd,,,-1.00\n"
    )

    def kinds(words: dict[str, str]) -> list[str]:
        mapping = ColumnMapping.from_dict({"columns": columns, "words": words, "currency": "USD"})
        return [record.kind for record in booked(read(content, mapping))]

    assert kinds({}) == [K.BUY, K.FEE, K.OTHER]
    assert kinds({"Odd": "tax"}) == [K.OTHER, K.OTHER, K.TAX]


# --- Saving a mapping -------------------------------------------------------------------------------------------------
def test_a_mapping_comes_back_from_json_as_it_was() -> None:
    assert ColumnMapping.from_dict(json.loads(json.dumps(OWN.as_dict()))) == OWN


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"columns": {"amount": "Sum"}}, "which column is the date"),
        ({"columns": {"date": "When"}}, "amount or the quantity"),
        (
            {"columns": {"date": "When", "amount": "Sum", "colour": "X"}},
            "no field “colour”. There are date, word, symbol,",
        ),
        ({"columns": {"date": 5}}, "name of one, or a list"),
        ({"columns": {"date": ["x" * 300]}}, "up to 200 characters"),
        ({"words": {"Gekauft": "burn"}}, "cannot mean “burn”, but one of buy, sell,"),
        ({"words": ["Gekauft"]}, "each a list of names"),
        ({"date_order": "ydm"}, "“ydm” is not a choice"),
        ({"currency": "euro"}, "no currency like EUR"),
        ({"signed": "yes"}, "true or false"),
        ({"run": "rm"}, "has these parts"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused_with_the_reason(change: dict[str, object], reason: str) -> None:
    with pytest.raises(MappingRefused, match=reason):
        ColumnMapping.from_dict(OWN.as_dict() | change)


def test_every_field_of_a_table_can_be_mapped() -> None:
    assert set(FIELDS) == {*Columns.__dataclass_fields__, "description"}


# --- Guessing ---------------------------------------------------------------------------------------------------------
def test_columns_words_and_signs_of_an_unknown_file_are_guessed_with_samples() -> None:
    text = (
        "Mein Depot\nDatum;Art;ISIN;Anzahl;Kurs;Betrag;Gebühr;Währung;Farbe\n"
        "31.01.2025;Kauf;US0000000001;10;1,50;15,00;1,25;EUR;rot\n01.02.2025;Geschenk;;;;7,00;;EUR;blau\n"
    )
    found = guess(reader.read(text.encode()))
    assert (found.delimiter, found.header[8], found.samples["Farbe"]) == (";", "Farbe", ("rot", "blau"))
    assert {name: columns[0] for name, columns in found.columns.items()} == {
        "date": "Datum",
        "word": "Art",
        "isin": "ISIN",
        "quantity": "Anzahl",
        "price": "Kurs",
        "amount": "Betrag",
        "fees": "Gebühr",
        "currency": "Währung",
    }
    assert found.words == {"Kauf": "buy", "Geschenk": ""}
    assert (found.signed, found.fees_on_top) == (False, True)
    bought, other = booked(read(text, found.mapping()))
    assert (bought.kind, bought.net_amount, other.kind) == (K.BUY, D("-16.25"), K.OTHER)


def test_a_file_with_nothing_recognised_leaves_the_choice_to_the_person() -> None:
    found = guess(reader.read(b"alpha,beta\n1,2\n"))
    assert found.header == ("alpha", "beta")
    with pytest.raises(MappingRefused, match="which column is the date"):
        found.mapping()


@pytest.mark.parametrize(
    ("word", "meaning"),
    [("BUY - MARKET", "buy"), ("Verkauf", "sell"), ("Dividend Tax", "dividend"), ("Withholding tax", "tax"), ("?", "")],
)
def test_a_word_is_guessed_by_how_it_begins(word: str, meaning: str) -> None:
    assert meaning_of(word) == meaning


# --- The layouts we know ----------------------------------------------------------------------------------------------
def test_a_french_statement_may_have_its_accents_or_not() -> None:
    plain = (
        "Compte: X\nDate d'operation;Date de valeur;Operation;ISIN;Libelle;Quantite;Cours;Montant;Frais;Devise\n"
        '15/01/2024;17/01/2024;Achat;US0000000001;Aaa;25;172,50;"4.312,50";0,99;EUR\n'
        '05/03/2024;07/03/2024;Prelevement;;;;;"-1.200,00";;EUR\nTotal mouvements: "5.512,50"\n*** Fin ***\n'
    )
    accents = (("operation", "opération"), ("Operation", "Opération"), ("Libelle", "Libellé"), ("Quantite", "Quantité"))
    for bare, accented in (*accents, ("Prelevement", "Prélèvement")):
        accented_text = plain.replace(bare, accented)
        for text in (plain, accented_text):
            parsed = parse(text, expected="generic_fr")
            assert [record.net_amount for record in booked(parsed)] == [D("-4313.49"), D("-1200.00")]
            assert [row.reason for row in parsed.skipped] == ["footer", "footer"]


def test_ghostfolios_plans_are_kept_with_a_warning_and_its_own_things_have_names() -> None:
    parsed = parse(
        "Date,Code,DataSource,Currency,Price,Quantity,Action,Fee,Note\n"
        "01.01.2022,Summer House,MANUAL,USD,500.0,1,buy,0.00,\n20990606,BBB,YAHOO,USD,2.00,3,buy,0.50,later\n",
        expected="ghostfolio",
    )
    house, planned = booked(parsed)
    assert house.instrument is not None
    assert (house.instrument.asset_class, house.instrument.name) == (AssetClass.OTHER, "Summer House")
    assert (planned.traded_on, planned.net_amount, planned.description) == (date(2099, 6, 6), D("-6.50"), "later")
    assert [row.warnings for row in parsed.rows] == [(), ("The row is dated in the future.",)]


def test_wealthfolios_split_gives_a_ratio_which_is_not_booked_as_units() -> None:
    header = "date,type,symbol,instrumentType,quantity,unit_price,currency,fee,amount,comment,fxRate,subtype\n"
    parsed = parse(header + "2024-05-15,SPLIT,CCC,EQUITY,3,,,,,,,\n2024-05-16,FEE,,,,,CAD,,2.00,Advice,,\n")
    split, fee = booked(parsed)
    assert (split.kind, split.quantity, split.net_amount, split.currency) == (K.SPLIT, None, 0, "CAD")
    assert (fee.kind, fee.net_amount, fee.description) == (K.FEE, D("-2.00"), "Advice")
    assert len(parsed.rows[0].warnings) == 2

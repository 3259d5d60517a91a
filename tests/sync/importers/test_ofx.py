"""OFX and QFX: both notations, ids, securities by name, and documents made to hurt."""

import re
from datetime import date
from decimal import Decimal

import pytest

from connections.brokers.records import AssetClass, ParkedRecord, TransactionKind, TransactionRecord
from sync import importers
from sync.importers import reader
from sync.importers.base import FileNotRead, ParsedFile
from sync.importers.ofx import MAX_ELEMENTS
from sync.importers.reader import FileUnreadable

K = TransactionKind


def parse(text: str) -> ParsedFile:
    source = reader.read(text.encode(), "a.qfx")
    chosen, _ = importers.detect(source)
    assert chosen.key == "ofx"
    return chosen.parse(source)


def document(*transactions: str, account: str = "12-34", securities: str = "") -> str:
    return (
        "OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\n\n<OFX><INVSTMTMSGSRSV1><INVSTMTTRNRS><INVSTMTRS><CURDEF>USD"
        f"<INVACCTFROM><ACCTID>{account}</INVACCTFROM>\n<INVTRANLIST><DTSTART>20260101\n{''.join(transactions)}"
        "</INVTRANLIST></INVSTMTRS></INVSTMTTRNRS></INVSTMTMSGSRSV1>"
        f"<SECLISTMSGSRSV1><SECLIST>{securities}</SECLIST></SECLISTMSGSRSV1></OFX>"
    )


def a_buy(name: str = "1", units: str = "5", total: str = "-500.25", tag: str = "BUYSTOCK") -> str:
    inner = "INVBUY" if tag.startswith("BUY") else "INVSELL"
    return (
        f"<{tag}><{inner}><INVTRAN><FITID>{name}<DTTRADE>20260610120000[-5:EST]<DTSETTLE>20260611<MEMO>A &amp; B\n"
        f"</INVTRAN><SECID><UNIQUEID>874039100<UNIQUEIDTYPE>CUSIP</SECID><UNITS>{units}<UNITPRICE>100"
        f"<COMMISSION>0.25<TOTAL>{total}</{inner}></{tag}>\n"
    )


SECURITY = (
    "<STOCKINFO><SECINFO><SECID><UNIQUEID>874039100<UNIQUEIDTYPE>CUSIP</SECID><SECNAME>TAIWAN SEMI<TICKER>TSM"
    "</SECINFO></STOCKINFO>"
)


def only(parsed: ParsedFile) -> TransactionRecord:
    (record,) = parsed.records
    assert isinstance(record, TransactionRecord), record.reason
    return record


def test_a_purchase_is_known_by_its_id_and_its_security_by_the_list() -> None:
    record = only(parse(document(a_buy(), securities=SECURITY)))
    assert (record.external_id, record.kind, record.quantity, record.net_amount) == ("1", K.BUY, 5, Decimal("-500.25"))
    assert (record.fees, record.gross_amount) == (Decimal("0.25"), -500)
    assert (record.traded_on, record.settled_on) == (date(2026, 6, 10), date(2026, 6, 11))
    assert record.instrument is not None
    assert (record.instrument.symbol, record.instrument.cusip) == ("TSM", "874039100")
    assert record.description == "A & B"


def test_values_that_are_closed_as_in_version_2_are_read_the_same() -> None:
    open_ended = document(a_buy(), securities=SECURITY)
    values = ("CURDEF", "ACCTID", "FITID", "DTTRADE", "DTSETTLE", "UNIQUEID", "UNITS", "UNITPRICE", "TOTAL", "TICKER")
    closed = open_ended.partition("<OFX>")[2]
    for tag in values:
        closed = re.sub(rf"<{tag}>([^<]*)", rf"<{tag}>\1</{tag}>", closed)
    xml = f'<?xml version="1.0"?>\n<?OFX OFXHEADER="200" VERSION="211"?>\n<OFX>{closed}'
    assert only(parse(xml)).net_amount == only(parse(open_ended)).net_amount
    assert only(parse(xml)).instrument == only(parse(open_ended)).instrument


def test_what_is_sold_leaves_whatever_sign_is_printed() -> None:
    for units in ("5", "-5"):
        assert only(parse(document(a_buy(units=units, total="500", tag="SELLSTOCK")))).quantity == -5


def test_an_option_of_the_list_is_named_as_everywhere() -> None:
    option = SECURITY.replace("STOCKINFO", "OPTINFO").replace(">TSM<", ">TSM   260918P00150000<")
    thing = only(parse(document(a_buy(tag="BUYOPT"), securities=option))).instrument
    assert thing is not None
    assert (thing.asset_class, thing.symbol) == (AssetClass.OPTION, "TSM   260918P00150000")


def test_a_bank_statement_moves_money_by_its_sign() -> None:
    rows = "".join(
        f"<STMTTRN><TRNTYPE>{kind}<DTPOSTED>20260610<TRNAMT>{amount}<FITID>{kind}{amount}<NAME>X</STMTTRN>"
        for kind, amount in (("CREDIT", "10"), ("DEBIT", "-4"), ("INT", "0.5"), ("SRVCHG", "-1"))
    )
    text = f"OFXHEADER:100\n<OFX><STMTRS><CURDEF>EUR<ACCTID>9<BANKTRANLIST>{rows}</BANKTRANLIST></STMTRS></OFX>"
    kinds = [(row.records[0].kind, row.account_hint) for row in parse(text).rows]  # type: ignore[union-attr]
    assert kinds == [(K.DEPOSIT, "9"), (K.WITHDRAWAL, "9"), (K.INTEREST, "9"), (K.FEE, "9")]


def test_a_transaction_nobody_knows_is_parked_and_stops_nothing() -> None:
    odd = "<BUYMOON><INVTRAN><FITID>7<DTTRADE>20260610</INVTRAN></BUYMOON>"
    first, second = parse(document(odd, a_buy())).records
    assert isinstance(first, ParkedRecord)
    assert first.reason == "The hub does not know a transaction “BUYMOON”."
    assert isinstance(second, TransactionRecord)


def test_an_id_that_comes_twice_is_parked_the_second_time() -> None:
    first, second = parse(document(a_buy(), a_buy(total="-9"))).records
    assert isinstance(first, TransactionRecord)
    assert isinstance(second, ParkedRecord)


def test_entities_of_a_document_type_are_never_expanded() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>'
    text = f'<?xml version="1.0"?>{bomb}' + document(a_buy().replace("A &amp; B", "&b;&c;")).partition("\n\n")[2]
    assert only(parse(text)).description == "&b;&c;"


@pytest.mark.parametrize(
    "text",
    [
        document(a_buy())[:-200],
        "OFXHEADER:100\nnothing more",
        "<OFX>" + "<A>" * 1000,
        document("<A>1" * (MAX_ELEMENTS + 1)),
        document(a_buy().replace("A &amp; B", "x" * 10_001)),
    ],
    ids=["half", "header alone", "nested", "many", "long"],
)
def test_half_a_document_or_one_made_to_hurt_is_refused_in_words(text: str) -> None:
    with pytest.raises(FileUnreadable, match=r"damaged|more than 200,000 rows|longer than 10,000 characters"):
        parse(text)


def test_a_profile_without_a_statement_is_refused() -> None:
    with pytest.raises(FileNotRead, match="holds no statement"):
        parse("OFXHEADER:100\n<OFX><SIGNONMSGSRSV1><SONRS><LANGUAGE>ENG</SONRS></SIGNONMSGSRSV1></OFX>")

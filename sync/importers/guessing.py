"""A first guess at the columns and words of a file no format knows, for a person to correct."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sync.importers import numbers
from sync.importers.mapping import MEANINGS, MOST, ColumnMapping
from sync.importers.reader import FileUnreadable, Source, Table, likely_delimiter
from sync.importers.words import fold

SAMPLES = 3  # values shown of each column
CENT = Decimal("0.02")
MONEY = ("amount", "quantity", "price", "fees")

# What programs and brokers call each field, folded; the first the file has is taken. English, German, French, Dutch,
# Spanish, Italian, Portuguese, Swedish.
ALIASES: dict[str, tuple[str, ...]] = {
    "date": (
        *("date", "trade date", "run date", "activity date", "transaction date", "datetime", "time", "timestamp"),
        *("datum", "handelsdatum", "buchungsdatum", "date d'operation", "fecha", "data", "affarsdag"),
    ),
    "settled": ("settlement date", "settle date", "value date", "valuta", "valutadatum", "date de valeur"),
    "word": (
        *("type", "action", "transaction type", "activity type", "trans code", "side", "buy/sell", "buy / sell"),
        *("transaction", "typ", "art", "transaktion", "operation", "soort", "tipo", "operazione", "typ av transaktion"),
    ),
    "symbol": ("symbol", "ticker", "instrument", "code", "instrument symbol", "kurzel", "coin", "asset"),
    "isin": ("isin", "isin code", "code isin", "instrument isin"),
    "cusip": ("cusip",),
    "name": ("name", "security", "instrument name", "product", "produkt", "libelle", "wertpapier", "title"),
    "description": ("description", "comment", "note", "notes", "memo", "details", "omschrijving", "beschreibung"),
    "quantity": (
        *("quantity", "qty", "shares", "units", "no. of shares", "amount of shares", "quantite", "anzahl", "stuck"),
        *("aantal", "antal", "cantidad", "quantita", "quantidade"),
    ),
    "price": (
        *("price", "unit price", "unit_price", "unitprice", "price/share", "price / share", "price per share"),
        *("tradeprice", "cours", "kurs", "koers", "precio", "prezzo", "preco"),
    ),
    "amount": (
        *("net amount", "amount", "total", "total amount", "value", "netcash", "montant", "betrag", "bedrag"),
        *("importe", "importo", "valor", "belopp"),
    ),
    "fees": (
        "fee",
        "fees",
        "commission",
        "ibcommission",
        "fees & comm",
        "costs",
        "frais",
        "gebuhr",
        "kosten",
        "courtage",
    ),
    "taxes": ("tax", "taxes", "withholding tax", "steuer", "impot", "belasting"),
    "currency": ("currency", "ccy", "currencyprimary", "devise", "wahrung", "valuta", "munt", "moneda", "divisa"),
    "account": ("account", "account number", "account id", "konto", "compte", "rekening", "cuenta"),
    "id": ("id", "transaction id", "transaction_id", "reference", "trade id", "order id"),
}

# How words begin, folded; the longest that fits counts.
_BEGINNINGS: dict[str, tuple[str, ...]] = {
    "buy": ("buy", "bought", "purchase", "kauf", "achat", "koop", "compra", "acquisto", "kop", "market buy"),
    "sell": ("sell", "sold", "sale", "verkauf", "vente", "verkoop", "venta", "venda", "vendita", "salj"),
    "reinvest": ("reinvest", "dividend reinvest"),
    "dividend": ("dividend", "dividende", "dividendo", "utdelning", "div", "distribution", "capital gain"),
    "interest": ("interest", "zins", "interet", "rente", "interes", "interesse", "ranta", "staking", "coupon"),
    "fee": ("fee", "commission", "gebuhr", "frais", "kosten", "comision", "avgift", "custody", "service charge"),
    "tax": ("tax", "withholding", "steuer", "impot", "belasting", "impuesto", "skatt", "taxe"),
    "deposit": ("deposit", "top up", "top-up", "einzahlung", "versement", "storting", "ingreso", "insattning"),
    "withdrawal": ("withdraw", "auszahlung", "retrait", "prelevement", "opname", "retirada", "uttag"),
    "transfer_in": ("transfer in", "transfer_in", "receive"),
    "transfer_out": ("transfer out", "transfer_out", "send"),
    "split": ("split", "stock split", "aktiensplit"),
    "exchange": ("fx", "forex", "exchange", "currency conversion"),
}
BEGINNINGS = sorted(
    ((word, meaning) for meaning, words in _BEGINNINGS.items() for word in words), key=lambda pair: -len(pair[0])
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    header: tuple[str, ...]
    delimiter: str
    columns: Mapping[str, tuple[str, ...]]  # field: column, where one was recognised
    words: Mapping[str, str]  # every word of the file: a key of MEANINGS, or "" where nothing was recognised
    samples: Mapping[str, tuple[str, ...]]  # column: its first values
    signed: bool
    fees_on_top: bool

    def mapping(self) -> ColumnMapping:
        """What was recognised, as it stands. Raises MappingRefused where that is too little."""
        return ColumnMapping(
            columns=self.columns,
            words={word: meaning for word, meaning in self.words.items() if meaning},
            delimiter=self.delimiter,
            signed=self.signed,
            fees_on_top=self.fees_on_top,
        )


def guess(source: Source) -> Guess:
    """Raises FileUnreadable."""
    if source.is_markup:
        raise FileUnreadable("This is XML, which has no columns to choose from.")
    delimiter = likely_delimiter(source.beginning)
    head = source.head(delimiter)
    row = max(range(len(head)), key=lambda at: (len(recognised(head[at])), len(head[at]), -at))
    table = source.table(row, delimiter)
    columns = recognised(table.header)
    said = dict.fromkeys(cell.strip() for name in columns.get("word", ()) for cell in table.column(name.casefold()))
    words = {word: meaning_of(word) for word in list(said)[:MOST] if word}
    signed, on_top = _money(table, columns, words)
    return Guess(
        header=table.header,
        delimiter=delimiter,
        columns=columns,
        words=words,
        samples={name: _first(table.column(name.casefold())) for name in table.header},
        signed=signed,
        fees_on_top=on_top,
    )


def recognised(header: tuple[str, ...] | list[str]) -> dict[str, tuple[str, ...]]:
    """Each field with the column that has one of its names; no column is taken twice."""
    free = {fold(name): name.strip() for name in header if name.strip()}
    found: dict[str, tuple[str, ...]] = {}
    for field, aliases in ALIASES.items():
        alias = next((alias for alias in aliases if alias in free), None)
        if alias is not None:
            found[field] = (free.pop(alias),)
    return found


def meaning_of(word: str) -> str:
    """A key of MEANINGS; "" when the word begins like none that is known."""
    folded = fold(word)
    if folded in MEANINGS:
        return folded
    return next((meaning for begins, meaning in BEGINNINGS if folded.startswith(begins)), "")


def _first(cells: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cell.strip() for cell in cells[:500] if cell.strip()))[:SAMPLES]


def _money(table: Table, columns: Mapping[str, tuple[str, ...]], words: Mapping[str, str]) -> tuple[bool, bool]:
    """Whether amounts have signs, and whether fees come on top of them: told by the purchases of the file.

    A purchase with a positive amount has no sign; one that is just units times price leaves its fee out.
    """
    shown = {name: table.column(columns[name][0].casefold()) for name in columns}
    numeric = [cell for name in ("amount", "price", "quantity") for cell in shown.get(name, ())]
    mark = numbers.decimal_of(numeric)[0] or numbers.POINT
    signed, on_top = True, False
    for at, word in enumerate(shown.get("word", ())):
        if words.get(word.strip()) != "buy":
            continue
        amount, units, price, fee = (
            _number(shown[name][at], mark) if name in shown else None
            for name in ("amount", "quantity", "price", "fees")
        )
        signed = signed and not (amount and amount > 0)
        if amount and units and price and fee:
            on_top = on_top or abs(abs(amount) - abs(units * price)) <= CENT < abs(fee)
    return signed and "amount" in columns, on_top or "amount" not in columns


def _number(text: str, mark: str) -> Decimal | None:
    try:
        return numbers.parse_number(text, mark)
    except ValueError:
        return None  # the reading itself will say so of this cell

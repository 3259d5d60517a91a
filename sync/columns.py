"""A file no format knows, as a person maps it: its header, what its columns may be, what was said last time."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from brokerhub.kernel.models import User
from sync.import_models import MappingTemplate
from sync.importers.mapping import FIELDS, MEANINGS
from sync.importers.reader import Cells, Source, likely_delimiter
from sync.importers.words import fold

SAMPLES = 3
MOST_WORDS = 100
MOST_READ = 20_000  # rows looked at for words

# How files call what; the first field with the name takes the column.
ALIASES: dict[str, tuple[str, ...]] = {
    "date": (
        "date",
        "trade date",
        "run date",
        "activity date",
        "transaction date",
        "datum",
        "fecha",
        "time",
        "datetime",
    ),
    "word": (
        "type",
        "action",
        "transaction type",
        "activity type",
        "side",
        "trans code",
        "buy/sell",
        "activity",
        "typ",
    ),
    "isin": ("isin",),
    "cusip": ("cusip",),
    "symbol": ("symbol", "ticker", "instrument", "code", "security", "asset"),
    "quantity": ("quantity", "qty", "shares", "units", "antal", "menge", "no. of shares"),
    "price": ("price", "unit price", "price/share", "tradeprice", "share price", "price per share", "kurs", "rate"),
    "amount": ("amount", "net amount", "total", "value", "total amount", "net", "betrag", "belopp", "proceeds"),
    "fees": ("fee", "fees", "commission", "ibcommission", "fees & comm", "commission fees"),
    "taxes": ("tax", "taxes", "withholding tax"),
    "currency": ("currency", "ccy", "currencyprimary", "währung"),
    "settled": ("settlement date", "settle date", "value date"),
    "account": ("account", "account number", "account id"),
    "id": ("id", "transaction id", "reference", "order id", "external id"),
    "name": ("description", "name", "details", "note", "memo", "comment", "security name"),
}
WORDS: dict[str, tuple[str, ...]] = {
    "buy": ("buy", "bought", "purchase", "b", "kauf", "achat", "kop", "compra", "koop"),
    "sell": ("sell", "sold", "sale", "s", "verkauf", "vente", "salj", "venta", "verkoop"),
    "reinvest": ("reinvest", "reinvestment", "drip"),
    "dividend": ("dividend", "div", "dividende", "utdelning", "cash dividend"),
    "interest": ("interest", "int", "zinsen", "ranta", "rente", "interets"),
    "fee": ("fee", "commission", "charge", "gebuhr", "frais", "avgift"),
    "tax": ("tax", "withholding tax", "steuer", "skatt", "impot"),
    "deposit": ("deposit", "cash in", "einzahlung", "insattning", "versement", "credit"),
    "withdrawal": ("withdrawal", "withdraw", "cash out", "auszahlung", "uttag", "retrait", "debit"),
    "payment": ("transfer", "payment", "ach", "wire"),
    "split": ("split", "stock split"),
    "exchange": ("fx", "exchange", "conversion", "currency exchange"),
}


def header_of(source: Source, delimiter: str) -> int:
    """Where the header most likely is, from 0: the first of the widest rows that has no number in it."""
    head = source.head(delimiter)
    widest = max((sum(bool(cell.strip()) for cell in row) for row in head), default=0)
    for at, row in enumerate(head):
        filled = [cell for cell in row if cell.strip()]
        if len(filled) >= max(2, widest - 1) and not any(_is_value(cell) for cell in filled):
            return at
    return 0


def _is_value(cell: str) -> bool:
    bare = cell.strip().lstrip("-+($€£")
    return bare[:1].isdigit()


def signature(header: Iterable[str]) -> str:
    """SHA-256 of a header, however its columns are ordered and written."""
    return hashlib.sha256("\x1f".join(sorted(fold(cell) for cell in header)).encode()).hexdigest()


def template_for(user: User, source: Source) -> MappingTemplate | None:
    """What the person said of the last file with this header."""
    delimiter = likely_delimiter(source.beginning)
    head = source.head(delimiter)
    headers = {signature(row) for row in head if len(row) > 1}
    return MappingTemplate.objects.filter(user=user, header__in=headers).order_by("-updated_at").first()


def save_template(user: User, name: str, header: Iterable[str], mapping: Mapping[str, Any]) -> None:
    MappingTemplate.objects.update_or_create(
        user=user, header=signature(header), defaults={"name": name[:120], "mapping": dict(mapping)}
    )


def guess(header: Cells) -> dict[str, str]:
    """For each column of the file the field it probably is; each field once."""
    taken: dict[str, str] = {}
    folded = {fold(cell): cell for cell in header if cell.strip()}
    for field, names in ALIASES.items():
        column = next((folded[fold(name)] for name in names if fold(name) in folded), None)
        if column is not None and column not in taken:
            taken[column] = field
    return taken


def guess_word(word: str) -> str:
    """What a word of the file probably means; "" when that is anybody's guess."""
    folded = fold(word)
    exact = next((meaning for meaning, words in WORDS.items() if folded in words), "")
    begins = ((meaning, one) for meaning, words in WORDS.items() for one in words if len(one) > 2)
    return exact or next((meaning for meaning, one in begins if folded.startswith(one)), "")


def samples(source: Source, delimiter: str, header_row: int) -> list[list[str]]:
    """For each column some of its filled cells, from the rows below the header."""
    rows = [cells for _, cells in islice(source.rows(delimiter), header_row + 1, header_row + 60)]
    width = len(source.head(delimiter)[header_row])
    found: list[list[str]] = []
    for at in range(width):
        cells = (row[at].strip() for row in rows if at < len(row))
        found.append(list(dict.fromkeys(cell[:60] for cell in cells if cell))[:SAMPLES])
    return found


def words_in(source: Source, delimiter: str, columns: Sequence[str]) -> dict[str, int]:
    """What a column of words says and how often, the most frequent first."""
    counted: Counter[str] = Counter()
    places: list[int] = []
    wanted = {fold(column) for column in columns}
    for _, cells in islice(source.rows(delimiter), MOST_READ):
        if not places:
            places = [at for at, cell in enumerate(cells) if fold(cell) in wanted]
            continue
        word = next((cells[at].strip() for at in places if at < len(cells) and cells[at].strip()), "")
        if word and len(word) <= 80:
            counted[word] += 1
    return dict(counted.most_common(MOST_WORDS))


FIELD_CHOICES = [("", "Not used"), *FIELDS.items()]
MEANING_CHOICES = [("", "Keep as “something else”"), *((key, label) for key, (label, _) in MEANINGS.items())]

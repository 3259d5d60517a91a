"""The registry of file formats, and how a file finds its format."""

from collections.abc import Sequence

from sync.importers.base import HEAD_ROWS, Cells, FileNotRead, Format, Lookalike, Match
from sync.importers.reader import head
from sync.importers.schwab_brokerage import SchwabBrokerage

FORMATS: dict[str, Format] = {format.key: format for format in (SchwabBrokerage(),)}

_EXPORT = "At Schwab open Accounts, History, choose the account and export its transactions as CSV; import that file."
LOOKALIKES = (
    Lookalike(
        title="positions for",
        columns=frozenset({"symbol", "description", "market value", "cost basis"}),
        advice=f"This is Schwab's positions file, which says what you hold but not what happened. {_EXPORT}",
    ),
    Lookalike(
        columns=frozenset({"date", "type", "description", "runningbalance"}),
        advice=f"This is Schwab Bank's checking file; the hub keeps brokerage accounts. {_EXPORT}",
    ),
    Lookalike(
        columns=frozenset({"awarddate", "fairmarketvalueprice", "sharessoldwithheldfortaxes"}),
        advice=f"This is Schwab's equity awards file. The shares it delivered are in the brokerage account. {_EXPORT}",
    ),
)


def detect(text: str, *, format_key: str = "") -> tuple[Format, Match]:
    """A file's format and where its header stands. With `format_key` only that one is tried. Raises FileNotRead."""
    rows: Sequence[Cells] = head(text, HEAD_ROWS)
    if format_key and format_key not in FORMATS:
        raise FileNotRead(f"There is no file format {format_key[:40]!r}. {_readable()}")
    candidates = [FORMATS[format_key]] if format_key else list(FORMATS.values())
    found = [(format, match) for format in candidates if (match := format.detect(rows)) is not None]
    found.sort(key=lambda pair: pair[1].score, reverse=True)
    if len(found) > 1 and found[0][1].score == found[1][1].score:
        names = " or ".join(format.label for format, match in found if match.score == found[0][1].score)
        raise FileNotRead(f"The file may be {names}. Choose its format.")
    if found:
        return found[0]
    for lookalike in LOOKALIKES:
        if lookalike.recognises(rows):
            raise FileNotRead(lookalike.advice)
    raise FileNotRead(f"The hub does not know this file's layout. {_readable()}")


def _readable() -> str:
    return f"It reads: {'; '.join(format.label for format in FORMATS.values())}."

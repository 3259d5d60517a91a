"""One pass over the rows of a table: what each became, what to warn of, sums to compare."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from django.utils import timezone

from connections.brokers.records import ParkedRecord, TransactionKind, TransactionRecord
from sync.importers.base import Ambiguity, FileRow, Record, Skipped
from sync.importers.reader import Table
from sync.importers.rows import ZERO, Layout, Row
from sync.importers.rules import UNKNOWN, Rule, meant
from sync.importers.words import fold

if TYPE_CHECKING:
    from sync.importers.tabular import TabularFormat

AHEAD = "The row is dated in the future."
HELD_BACK = 1000  # rows that are read before the next of them are handed on
MAX_WORD = 200  # characters; a longer one is no word to make a rule of
MOST_WORDS = 20  # unknown words named one by one; a damaged file may have as many as it has rows


@dataclass
class Reading:
    """Of one file by one format; its rows are handed on while it goes, and the rest is whole at its end."""

    format: "TabularFormat"
    table: Table
    layout: Layout
    questions: tuple[Ambiguity, ...] = ()
    account: str = ""  # of the whole file
    words: Mapping[str, TransactionKind] = field(default_factory=dict)  # a person's own, folded
    rows: list[FileRow] = field(default_factory=list)  # the newest; a row may yet complete the one above it
    kept: int = 0  # rows so far
    skipped: list[Skipped] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    total: Decimal = ZERO  # of the booked rows
    pairs: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    printed: Decimal | None = None  # the sum the file itself gives
    over: str = ""  # why nothing more is read
    cut: int = 0  # kept rows that had more cells than columns
    ids: dict[str, tuple[int, int]] = field(default_factory=dict)  # the line and the hash of the row that has the id
    tomorrow: date = field(default_factory=lambda: timezone.now().date() + timedelta(days=1))  # it may be, east of here

    def __iter__(self) -> Iterator[FileRow]:
        """Raises FileUnreadable."""
        folded = tuple(name.casefold() for name in self.table.header)
        for line, cells, is_cut in self.table:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                raw = dict(zip(self.table.header, cells, strict=True))
                self.take(Row(line, dict(zip(folded, stripped, strict=True)), raw, self.layout, is_cut))
            if len(self.rows) > HELD_BACK:
                yield from self.rows[:-1]
                del self.rows[:-1]
        self.format.finish(self)
        self._sum_up()
        yield from self.rows

    def check_past(self, on: date, text: str) -> None:
        """Raises ValueError for a date in the future."""
        if on > self.tomorrow:
            raise ValueError(f"The date “{text[:40]}” is in the future")

    def take(self, row: Row) -> None:
        format = self.format
        try:
            self.over = self.over or format.ends(row)
            word = "" if self.over else format.word(row)
            rule = None if self.over else format.rule(row, word)
            reason = self.over or format.skip(row, self) or (rule.skip if rule else "")
            if reason:
                self.skipped.append(Skipped(line=row.line, reason=reason))
                return
            own = self._own_rule(word) if rule is None else None
            records = format.records(row, rule or own or UNKNOWN, word, self)
            before = format.records(row, UNKNOWN, word, self) if own is not None else ()
            self._keep(row, records, word if rule is None and own is None else None, before)
        except ValueError as error:
            self._add(self.parked(row, f"{error}."))

    def _add(self, row: FileRow) -> None:
        self.rows.append(row)
        self.kept += 1

    def _own_rule(self, word: str) -> Rule | None:
        """What the person said this word means; where words are prose, what they said of its beginning."""
        folded = fold(word) if self.words else ""
        kind = self.words.get(folded)
        if kind is None and self.format.by_prefix:
            begins = [known for known in self.words if folded.startswith(known)]
            kind = self.words[max(begins, key=len)] if begins else None
        return None if kind is None else meant(kind, word)

    def _keep(
        self, row: Row, records: tuple[Record, ...], unknown: str | None, before: tuple[Record, ...] = ()
    ) -> None:
        notes: tuple[str, ...] = ()
        total = ZERO
        booked = None
        for record in records:
            if isinstance(record, TransactionRecord):
                booked = booked or record
                notes += self.format.notes(row, record)
                total += self.format.summand(record)
                if record.traded_on > self.tomorrow and AHEAD not in notes:
                    notes += (AHEAD,)
        if unknown is not None and booked is not None:
            self.unknown[unknown] = self.unknown.get(unknown, 0) + 1
            notes += (f"“{unknown[:40]}” is not a word the hub knows; the row is kept as “other”.",)
        account = self._account(row)
        if booked is None or not self._is_twin(row, records, account, booked.external_id):
            said = (unknown or "")[:MAX_WORD]
            self._add(
                FileRow(line=row.line, records=records, account_hint=account, warnings=notes, word=said, before=before)
            )
            self.cut += row.is_cut
            self.total += total

    def _is_twin(self, row: Row, records: tuple[Record, ...], account: str, name: str) -> bool:
        """Whether the broker's id and everything else has been in the file before: the same row printed twice."""
        if not name:
            return False
        content = hash(tuple(tuple(record.raw.values()) for record in records))
        line, known = self.ids.setdefault(f"{account} {name}", (row.line, content))
        if line == row.line:
            return False
        if content != known:
            raise ValueError(f"The id “{name[:40]}” is that of another row too, in line {line}")
        self.skipped.append(Skipped(line=row.line, reason=f"the same row as in line {line}, with the same id"))
        return True

    def parked(self, row: Row, reason: str) -> FileRow:
        record = ParkedRecord(external_id="", reason=reason, raw=row.raw)
        return FileRow(line=row.line, records=(record,), account_hint=self._account(row))

    def _account(self, row: Row) -> str:
        return row.text("account") or self.account

    def _sum_up(self) -> None:
        who = self.format.institution
        for word, times in list(self.unknown.items())[:MOST_WORDS]:
            self.warnings.append(
                f"“{word[:40]}” is a word of {who}'s that the hub does not know yet. Its {times} row"
                f"{' is' if times == 1 else 's are'} kept as “other”, with cash and quantity as printed."
            )
        if len(self.unknown) > MOST_WORDS:
            self.warnings.append(
                f"The file has {len(self.unknown)} such words, which is many. Is it as {who} exported it?"
            )
        if self.cut:
            rows = f"{self.cut} row{'' if self.cut == 1 else 's'}"
            self.warnings.append(f"In {rows} there were more cells than columns; the rest was not read.")

"""The rows of an import that are not in the books, with the reason, to be mended and uploaded again."""

from collections.abc import Iterator

from connections.brokers.records import ParkedRecord
from sync.mending import rejected
from sync.models import ImportFile, ParkedRow, SyncRun
from sync.parking import digests
from sync.reading import read

LEFT_OUT = "Left out by you"


def rejected_lines(run: SyncRun) -> Iterator[str]:
    """The lines of the file of rejected rows. Raises FileNotRead or FileUnreadable when the file cannot be read."""
    file: ImportFile = run.file
    read_file = read(file, run.connection.user)
    rows = [row for row in read_file.parsed.rows if file.hints is None or row.account_hint in file.hints]
    unwanted = set(file.left_out)
    parked = [row for row in rows if row.is_parked and row.line not in unwanted]
    reasons = [next(record for record in row.records if isinstance(record, ParkedRecord)) for row in parked]
    names = list(digests(record.raw for record in reasons))
    numbers = dict(ParkedRow.objects.filter(account=file.account_id, digest__in=names).values_list("digest", "pk"))
    why = {
        row.line: (str(numbers.get(name, "")), record.reason)
        for row, record, name in zip(parked, reasons, names, strict=True)
    }
    why |= {row.line: ("", LEFT_OUT) for row in rows if row.line in unwanted}
    return rejected(read_file.source, read_file.format, read_file.parsed, read_file.delimiter, why)

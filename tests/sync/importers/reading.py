"""What the tests of formats share: a few rows in, and the one record or the records out."""

from connections.brokers.records import ParkedRecord, TransactionRecord
from sync import importers
from sync.importers import reader
from sync.importers.base import AS_PRINTED, Choices, ParsedFile


def parse(text: str, choices: Choices = AS_PRINTED, *, expected: str = "") -> ParsedFile:
    source = reader.read(text.encode())
    found, _ = importers.detect(source)
    assert expected in ("", found.key)
    return found.parse(source, choices)


def booked(parsed: ParsedFile) -> list[TransactionRecord]:
    assert not [record for record in parsed.records if isinstance(record, ParkedRecord)]
    return [record for record in parsed.records if isinstance(record, TransactionRecord)]


def reasons(parsed: ParsedFile) -> list[str]:
    return [record.reason for record in parsed.records if isinstance(record, ParkedRecord)]

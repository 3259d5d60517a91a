"""Files that mean harm, or are broken beyond use: a clear sentence, bounded memory, and nothing in the books."""

import gzip
import io
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from rest_framework.test import APIClient

from aggregation.models import Transaction
from brokerhub.kernel.models import User
from connections.models import Connection
from sync.import_models import ImportDraft
from sync.importers import reader
from sync.models import ParkedRow, SyncRun
from tests.sync.samples import fixture

MB = 1024 * 1024
HEADER = b'"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n'
ROW = b'"06/10/2026","Service Fee","","FEE","","","","-$1.00"\n'
FLEX = '<FlexQueryResponse queryName="a" type="AF"><FlexStatements count="1">{}</FlexStatements></FlexQueryResponse>'


def zip_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("transactions.csv", b"0" * (30 * MB))
    return out.getvalue()


def laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{entities}]>{FLEX.format("&l11;")}'.encode()


def outside() -> bytes:
    entity = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    return f'<?xml version="1.0"?>{entity}{FLEX.format("&f;")}'.encode()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "blank": lambda: b"\r\n \n\n",
    "NUL": lambda: HEADER + b'"06/10/2026","Service\0 Fee"\n',
    "binary": lambda: random.Random(1).randbytes(100_000),
    "zip bomb": zip_bomb,
    "gzip bomb": lambda: gzip.compress(b"0" * (30 * MB)),
    "billion laughs": laughs,
    "a file of the server": outside,
    "deep markup": lambda: FLEX.format("<a>" * 200_000).encode(),
    "half of markup": lambda: FLEX.format("<FlexStatement").encode()[:90],
    "half of an OFX file": lambda: b"OFXHEADER:100\nDATA:OFXSGML\n\n<OFX><SIGNONMSGSRSV1><SONRS><STATUS><CODE>0",
    "half of a table": lambda: HEADER + ROW * 100 + b'"06/10/2026","Serv',
    "half of UTF-16": lambda: "Date,Action\n".encode("utf-16")[:-1] + b"\xd8",
    "UTF-16 without its mark": lambda: "Date,Action,Amount\n".encode("utf-16-le"),
    "ten million columns": lambda: b"," * 10_000_000,
    "ten million columns below a header": lambda: HEADER + b"," * 10_000_000,
    "one endless line": lambda: b"x" * (15 * MB),
    "one endless cell below a header": lambda: HEADER + b'"' + b"x" * (15 * MB) + b'"\n',
    "one endless number": lambda: HEADER + b'"06/10/2026","Service Fee","","","","","","-' + b"9" * 500_000 + b'"\n',
    "bytes of no encoding": lambda: HEADER + b'"06/10/2026","Serv\x81\x8d ice Fee","\xff\xfe\x00","","","","","-$1"\n',
    "UTF-8 cut within a letter": lambda: HEADER + ROW + '"06/11/2026","Zürich'.encode()[:-5],
    "a spreadsheet": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 5000,
    "only quotes": lambda: b'"' * 2_000_000,
    "no rows": lambda: HEADER,
}


@pytest.fixture(autouse=True)
def nothing_is_written(db: None) -> object:
    yield
    assert not Transaction.objects.exists()
    assert not ParkedRow.objects.exists()
    assert not SyncRun.objects.exists()
    assert not Connection.objects.exists()


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_the_page_refuses_it_in_a_sentence_at_a_bounded_cost(
    web: Client, settings: Any, content: Callable[[], bytes]
) -> None:
    settings.IMPORT_CHECK_AT_ONCE_BYTES = 30 * MB  # all of the work within this request
    file = SimpleUploadedFile("export.csv", content())
    tracemalloc.start()
    try:
        answer = web.post("/sync/import/", {"file": file})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * (file.size or 0) + 80 * MB
    if answer.status_code == 302:  # the draft says what is wrong
        draft = ImportDraft.objects.get(pk=UUID(answer.headers["Location"].split("/")[3]))
        assert (draft.state, draft.rows.count()) == ("choosing", 0)
        if draft.format:
            assert draft.error.endswith((".", "?"))
        else:
            assert "Name the columns" in web.get(answer.headers["Location"]).content.decode()
    else:
        assert answer.status_code == 422
        (sentence,) = answer.context["form"].errors["file"]
        assert sentence.endswith((".", "?"))


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_the_api_refuses_it_with_a_code(
    person: User, token_client: Callable[..., APIClient], content: Callable[[], bytes]
) -> None:
    program = token_client(person)
    file = SimpleUploadedFile("export.csv", content())
    answer = program.post("/api/v1/brokerage/import?dry_run=1", {"file": file}, format="multipart")
    if answer.status_code == 200:  # a file without rows has none
        assert answer.json()["rows"] == [] or {row["state"] for row in answer.json()["rows"]} == {"error"}
    else:
        assert answer.status_code == 400
        assert answer.json()["code"] in {"file_unreadable", "file_not_read", "empty"}
        assert answer.json()["detail"]


def test_more_bytes_than_we_take_are_refused_before_they_are_kept(web: Client, settings: Any) -> None:
    settings.UPLOAD_MAX_BYTES = MB
    answer = web.post("/sync/import/", {"file": SimpleUploadedFile("large.csv", HEADER + b"x" * (3 * MB))})
    assert answer.status_code == 413
    assert "export a shorter period" in answer.content.decode()
    assert not ImportDraft.objects.exists()


class Body(io.RawIOBase):
    """What a browser sends of a large file: made while it is read, so that the test itself needs no memory."""

    def __init__(self, head: bytes, size: int) -> None:
        self.head, self.left, self.given = head, size, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "the server asks for all of it at once"
        wanted = min(size, self.left)
        part = self.head[:wanted].ljust(wanted, b"x")
        self.head = self.head[wanted:]
        self.left -= wanted
        self.given += wanted
        return part


@pytest.mark.parametrize("size", [100 * MB, 1024 * MB], ids=["100 MB", "a line of 1 GB"])
@pytest.mark.parametrize("address", ["/sync/import/", "/api/v1/brokerage/import?dry_run=1"])
def test_what_is_far_too_large_is_refused_unread(
    web: Client, person: User, token_client: Callable[..., APIClient], address: str, size: int
) -> None:
    frame = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n'
    body = Body(frame + HEADER, size)
    client: Any = web if address.startswith("/sync") else token_client(person)
    kind = "multipart/form-data; boundary=x"
    sent = {"wsgi.input": body, "CONTENT_LENGTH": f"{size}", "CONTENT_TYPE": kind, "content_type": kind}
    tracemalloc.start()
    try:
        answer = client.generic("POST", address, **sent)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.status_code == 413
    assert "20 MB" in answer.content.decode()
    assert body.given < 21 * MB
    assert peak < 30 * MB
    assert not ImportDraft.objects.exists()


def test_more_rows_than_we_take_are_refused(web: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_ROWS", 500)
    answer = web.post("/sync/import/", {"file": SimpleUploadedFile("long.csv", HEADER + ROW * 600)})
    draft = ImportDraft.objects.get()
    assert answer.status_code == 302
    assert "more than" in draft.error


def test_line_ends_may_be_mixed(web: Client, person: User) -> None:
    rows = [HEADER.strip(), ROW.strip(), ROW.strip(), ROW.strip()]
    web.post(
        "/sync/import/",
        {"file": SimpleUploadedFile("mixed.csv", b"\r\n".join(rows[:2]) + b"\n" + b"\r".join(rows[2:]))},
    )
    draft = ImportDraft.objects.get()
    assert (draft.error, draft.found["rows"]) == ("", 3)


def test_formulas_are_text_and_never_more(web: Client) -> None:
    row = b'"06/10/2026","=cmd|\' /C calc\'!A0","@SUM(1)","=1+1","","","","-$1.00"\n'
    web.post("/sync/import/", {"file": SimpleUploadedFile("formulas.csv", HEADER + row)})
    draft = ImportDraft.objects.get()
    web.post(f"/sync/import/{draft.pk}/", {"format": draft.format, "name_0": "New"})
    page = web.get(f"/sync/import/{draft.pk}/rows/").content.decode()
    assert "=1+1" in page
    assert draft.rows.get().state in {"error", "warning"}


def test_markup_in_a_cell_is_shown_as_text(web: Client) -> None:
    row = b'"06/10/2026","Service Fee","","<script>alert(1)</script>","","","","-$1.00"\n'
    web.post("/sync/import/", {"file": SimpleUploadedFile("<b>a</b>.csv", HEADER + row)})
    draft = ImportDraft.objects.get()
    web.post(f"/sync/import/{draft.pk}/", {"format": draft.format, "name_0": "New"})
    for address in (f"/sync/import/{draft.pk}/rows/", f"/sync/import/{draft.pk}/rows/2/"):
        assert "<script>alert(1)" not in web.get(address).content.decode()


def test_a_good_file_is_still_read_after_all_these(web: Client) -> None:
    web.post("/sync/import/", {"file": SimpleUploadedFile("good.csv", fixture("schwab-brokerage.csv"))})
    assert ImportDraft.objects.get().found["rows"] == 10

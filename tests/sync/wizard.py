"""The pages a file goes through, as a person clicks through them."""

import re
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from connections.models import Account
from sync import tasks
from sync.import_models import DraftRow, ImportDraft
from sync.models import SyncRun

SCHWAB = '"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n'
MIXED = (
    SCHWAB
    + '"06/10/2026","Service Fee","","FEE","","","","-$1.00"\n'
    + '"06/10/2026","Service Fee","","FEE","","","","-$1.00"\n'
    + '"06/11/2026","Odd Word","","X","","","","$2.00"\n'
    + '"13/45/2026","Service Fee","","=2+3","","","","-$3.00"\n'
    + '"06/12/2026","Cash Dividend","KO","COCA COLA","","","","$5.00"\n'
)


def upload(web: Client, content: bytes | str, name: str = "export.csv") -> ImportDraft:
    data = content.encode() if isinstance(content, str) else content
    answer = web.post("/sync/import/", {"file": SimpleUploadedFile(name, data)})
    assert answer.status_code == 302, re.sub(r"\s+", " ", answer.content.decode())[-800:]
    return ImportDraft.objects.get(pk=UUID(answer.headers["Location"].split("/")[3]))


def answer(web: Client, draft: ImportDraft, **said: Any) -> str:
    """Send the page of step 2; where it leads."""
    reply = web.post(f"/sync/import/{draft.pk}/", {"format": draft.format, **said})
    assert reply.status_code == 302, reply.context["form"].errors
    draft.refresh_from_db()
    return str(reply.headers["Location"])


def ready(web: Client, account: Account, content: bytes | str, name: str = "export.csv") -> ImportDraft:
    draft = upload(web, content, name)
    assert answer(web, draft, account_0=account.pk).endswith("/rows/")
    return draft


def states(draft: ImportDraft) -> dict[int, str]:
    return dict(DraftRow.objects.filter(draft=draft).values_list("line", "state"))


def import_now(web: Client, draft: ImportDraft) -> SyncRun:
    web.post(f"/sync/import/{draft.pk}/confirm")
    run = SyncRun.objects.latest("pk")
    tasks.import_file(run.pk)
    run.refresh_from_db()
    return run


def text_of(web: Client, address: str) -> str:
    return re.sub(r"\s+", " ", web.get(address, follow=True).content.decode())


def map_all(web: Client, draft: ImportDraft, **said: str) -> None:
    """Through the pages for columns and words with what they propose, and `said` on top."""
    page = web.get(f"/sync/import/{draft.pk}/columns/")
    form = page.context["form"]
    given = {name: form[name].value() for name in form.fields if form[name].value() not in (None, False)}
    reply = web.post(f"/sync/import/{draft.pk}/columns/", {**given, **said})
    assert reply.status_code == 302, reply.context["form"].errors
    if reply.headers["Location"].endswith("/words/"):
        form = web.get(reply.headers["Location"]).context["form"]
        given = {name: form[name].value() for name in form.fields}
        assert web.post(reply.headers["Location"], given).status_code == 302


def download(web: Client, run: SyncRun) -> str:
    answer = web.get(f"/sync/runs/{run.pk}/rejected.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return answer.getvalue().decode("utf-8-sig")

"""An upload that is too large is stopped before its bytes are kept."""

import pytest
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import SimpleUploadedFile

from brokerhub.uploads import LimitedUpload

IMPORT = "/api/v1/brokerage/import"


@pytest.fixture
def small_limit(settings):
    settings.UPLOAD_MAX_BYTES = 1024


def test_a_file_over_the_limit_is_refused_in_the_api(api, small_limit):
    big = SimpleUploadedFile("big.csv", b"x" * 200_000)
    answer = api.post(IMPORT, {"file": big, "account_name": "Old"}, format="multipart")
    assert (answer.status_code, answer.data["code"]) == (413, "too_large")


def test_and_on_the_page_it_is_an_error_to_read(web, small_limit):
    answer = web.post("/sync/import/", {"file": SimpleUploadedFile("big.csv", b"x" * 200_000), "account_name": "Old"})
    assert 400 <= answer.status_code < 500


def test_bytes_that_come_beyond_the_limit_are_not_taken(small_limit):
    handler = LimitedUpload()
    handler.receive_data_chunk(b"x" * 1000, 0)
    with pytest.raises(RequestDataTooBig):
        handler.receive_data_chunk(b"x" * 1000, 1000)

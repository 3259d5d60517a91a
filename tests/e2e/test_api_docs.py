"""The API's documentation, in a real browser under our content security policy."""

import pytest

pytestmark = pytest.mark.e2e


def test_the_docs_page_lists_every_operation_and_breaks_no_rule(new_page, live_server, screenshot):
    page = new_page()
    page.goto(f"{live_server.url}/api/docs")
    page.wait_for_selector(".opblock")
    schema = page.request.get(f"{live_server.url}/api/schema", headers={"Accept": "application/vnd.oai.openapi+json"})
    operations = sum(len(methods) for methods in schema.json()["paths"].values())
    assert page.locator(".opblock").count() == operations > 5
    page.locator(".opblock-summary-control").first.click()
    page.wait_for_selector(".opblock-description")
    assert "Scope:" in page.locator(".opblock-description").inner_text()
    screenshot(page, "docs")

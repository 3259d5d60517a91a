"""What htmx was refused is said on the page it was asked from."""

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("frame")]


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [("not-allowed", "This connection is being removed."), ("bug", "Something went wrong on our side.")],
)
def test_an_error_of_a_fragment_is_shown_as_a_message(new_page, live_server, caller, client, failure, sentence):
    client.force_login(caller)
    page = new_page()
    page.context.add_cookies(
        [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
    )
    page.goto(f"{live_server.url}/settings/")
    heading = page.locator("h1").inner_text()
    page.evaluate(f"htmx.ajax('GET', '/test/failing/{failure}', '#main')")
    message = page.locator("#messages .alert")
    message.wait_for()
    assert sentence in message.inner_text()
    assert page.locator("h1").inner_text() == heading

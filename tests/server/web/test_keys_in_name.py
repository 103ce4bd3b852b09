"""A person sees every key that opens what is theirs, and ends it, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from puna.errors import AuthenticationError
from tests.server.web.home import Home, at_home

ASK = """(url) => fetch(url, { method: "DELETE", headers: { "X-Puna": "page" } })
  .then((answer) => answer.status)"""


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with at_home() as home:
        yield home


@pytest.fixture
def guest(home: Home) -> str:
    """Somebody whom the owner invited; returns their id."""
    users = home.house.users
    email = f"guest{len(users.list())}@example.org"
    return users.create(email, "a long password", name="Luis").id


def settings(home: Home, browser: Browser, user_id: str) -> Page:
    """The settings' page of a person."""
    page = browser.new_context().new_page()
    token = home.house.sessions.create(user_id)
    page.context.add_cookies([{"name": "puna_session", "value": token, "url": home.address}])
    page.goto(f"{home.address}/settings")
    return page


def test_a_key_that_another_made_is_seen_and_revoked(
    home: Home, browser: Browser, guest: str
) -> None:
    keys = home.house.keys
    made = keys.create("reader", user=guest, actor=home.user_id)
    page = settings(home, browser, guest)
    entry = page.locator("#keys ~ .entries li", has_text="reader")
    owner = home.house.users.get(home.user_id)
    expect(entry).to_contain_text(f"made by {owner.name or owner.email} on ")
    expect(entry).to_contain_text("never used")
    assert keys.verify(made.secret).user_id == guest
    page.reload()
    expect(entry).to_contain_text("last used ")
    entry.get_by_role("button", name="Revoke the key reader").click()
    with page.expect_event("load"):
        page.click("#sure [data-close=yes]")
    expect(entry).to_contain_text("revoked ")  # it stays there to be seen
    expect(entry.get_by_role("button")).to_have_count(0)
    with pytest.raises(AuthenticationError):
        keys.verify(made.secret)
    event = home.house.audit.latest(1)[0]
    assert (event.action, event.target, event.actor) == ("key.revoke", made.key.id, guest)
    page.context.close()


def test_nobody_sees_or_ends_a_key_in_anothers_name(
    home: Home, browser: Browser, guest: str
) -> None:
    keys = home.house.keys
    others = keys.create("the owner's", user=home.user_id, actor="cli")
    nobodys = keys.create("a program's", actor=home.user_id)
    page = settings(home, browser, guest)
    expect(page.locator("#keys ~ p", has_text="None.")).to_be_visible()
    for key in (others.key, nobodys.key):
        assert page.evaluate(ASK, f"/web/keys/{key.id}") == 404
    keys.verify(others.secret)
    keys.verify(nobodys.secret)
    page.context.close()
    page = settings(home, browser, home.user_id)
    mine = page.locator("#keys ~ .entries li", has_text="the owner's")
    expect(mine).to_contain_text("made by the server's command line")
    expect(page.locator("body")).not_to_contain_text("a program's")
    page.context.close()

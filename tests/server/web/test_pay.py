"""Credit bought by hand, in Chromium: asked for, seen by the owner, there at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from puna.accounts import Ledger, Plan, Plans, Price, Tenants
from puna.accounts.local_provider import LocalProvider
from tests.server.web.house import GUEST, OWNER
from tests.server.web.talking import Server, talking


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose owner takes money by hand."""
    with talking(tmp_path_factory.mktemp("shop"), provider=LocalProvider()) as running:
        yield running


def test_credit_is_asked_for_confirmed_and_there(browser: Browser, shop: Server) -> None:
    price = {"*": Price(1_000_000, 250_000, 4_000_000)}
    Plans(shop.store).create(Plan("pro", "Pro", prices=price, offered=True))
    tenant = Tenants(shop.store).create("Buyers", "free")
    first = shop.links.for_owner()
    assert first is not None
    with (
        shop.visited(browser, first, OWNER) as owner,
        shop.visited(browser, shop.links.invite(tenant.id), GUEST) as buyer,
    ):
        page = buyer.page
        page.goto(f"{shop.address}/plan")
        expect(page.locator("#amount")).to_have_count(0)  # nothing to pay for yet
        page.click("text=Choose")
        page.click("#sure [data-close=yes]")
        expect(page.locator("h1")).to_have_text("Pro")
        page.fill("#amount", "much")
        page.click("text=Go on to pay")
        expect(page.locator(".wrong")).to_contain_text("write it as 12.50")
        page.fill("#amount", "25.00")
        page.click("text=Go on to pay")
        page.wait_for_url("**/pay/pay_*")
        expect(page.locator("h1")).to_have_text("25.00 USD")
        name = page.locator(".secret code").inner_text()
        owner.page.goto(f"{shop.address}/console/credits")
        row = owner.page.locator("tr", has_text=name)
        row.locator("button").click()
        expect(owner.page.locator("#sure h2")).to_have_text(
            "Has 25.00 USD come in? It becomes credit."
        )
        owner.page.click("#sure [data-close=yes]")
        expect(row).to_contain_text("paid")
        expect(row.locator("button")).to_have_count(0)
        page.reload()
        expect(page.locator(".lead")).to_have_text("Paid. It has been added to your credits.")
        page.click("main >> text=Your plan")
        expect(page.locator("main")).to_contain_text("25.00 USD")
    assert Ledger(shop.store).balance("Buyers").available_micros == 25_000_000

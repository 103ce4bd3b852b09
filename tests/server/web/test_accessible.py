"""Every page for whoever hears it, sees little, uses no mouse or wants nothing to move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.server.web.home import PAGES, Home, at_home
from tests.server.web.told import told

AXE = Path(__file__).parents[3] / "build" / "axe-core" / "axe.min.js"
DESK, PHONE = (1280, 800), (375, 720)
ANSWER = "# So\n\n1. `x`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nx = 1\n```\n\n$$x^2$$\n"
FOCUSED = """() => {
  const it = document.activeElement;
  const box = it.getBoundingClientRect();
  const style = getComputedStyle(it);
  const ring = style.outlineStyle !== "none" || style.boxShadow !== "none"
    || it.closest(".composer")?.matches(":focus-within");
  const name = it.ariaLabel || it.labels?.[0]?.textContent || it.textContent || it.title;
  return { place: it.tagName === "BODY" ? null : [it.tagName, name.trim().slice(0, 40)],
    seen: box.width > 0 && box.height > 0, ring: Boolean(ring) };
}"""
FROM_THE_START = """() => {
  document.body.tabIndex = -1;
  document.body.focus();
  document.body.removeAttribute("tabindex");
}"""
NUMBERED = """() => {
  const kinds = "a, button, input, textarea, select, summary, [tabindex]";
  const stops = document.querySelectorAll(kinds);
  stops.forEach((stop, place) => { stop.place = place; });
  return stops.length;
}"""
RULES: dict[str, list[str]] = {"light": [], "dark": ["color-contrast"]}  # else dark is as light
AUDIT = """(rules) =>
  axe.run({ resultTypes: ["violations"], ...(rules.length && { runOnly: rules }) })"""
MOVING = """() => document.getAnimations().filter((one) => {
  const { duration, iterations } = one.effect.getComputedTiming();
  return duration > 1 || iterations > 1;
}).map((one) => one.effect.target.className)"""
HEARD = """() => {
  window.said = [];
  const region = document.querySelector("#announcer");
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes)
      window.said.push(...[...addedNodes].map((node) => node.textContent));
  }).observe(region, { childList: true });
}"""


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with at_home() as home:
        home.house.assistant.memory.add(home.owner, "a fact")
        home.house.assistant.presets.create(home.owner, "mine", "Be brief.")
        home.house.keys.create("till")
        home.house.links.invite("owner")
        yield home


@pytest.fixture(scope="module")
def talk(home: Home) -> str:
    return home.talk("How?", ANSWER, title="How")


def audited(page: Page, path: str, rules: list[str]) -> list[str]:
    """What axe-core finds on a page as it is drawn: contrast, names, labels, roles, headings."""
    page.add_script_tag(path=str(AXE))
    report = page.evaluate(AUDIT, rules)
    return [
        f"{path}: {fault['id']}: {node['html'][:160]}: {node['failureSummary'][:200]}"
        for fault in report["violations"]
        for node in fault["nodes"][:2]
    ]


@pytest.mark.timeout(300)  # it looks at every page
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", RULES)
def test_no_page_has_a_fault(
    browser: Browser,
    home: Home,
    talk: str,
    scheme: Literal["light", "dark"],
    size: tuple[int, int],
) -> None:
    rules = RULES[scheme]
    if not AXE.exists():
        pytest.skip("no axe-core: `.ci/vendor axe` fetches it")
    view = {"width": size[0], "height": size[1]}
    with browser.new_context(bypass_csp=True, color_scheme=scheme, viewport=view) as context:  # type: ignore[arg-type]
        page = home.signed_in(context)
        faults = []
        for path in [f"/c/{talk}", *PAGES]:
            page.goto(home.address + path)
            faults += audited(page, path, rules)
        for name, open_it in OPENED.items():
            page.goto(f"{home.address}/c/{talk}")
            open_it(page)
            faults += audited(page, name, rules)
        context.clear_cookies()
        for path in ("/login", "/welcome", "/none"):
            page.goto(home.address + path)
            faults += audited(page, path, rules)
        assert faults == [], "\n".join(faults)


def open_sidebar(page: Page) -> None:
    if page.locator(".head .opener").is_visible():
        page.locator(".head .opener").click()
        page.wait_for_timeout(300)


def open_finder(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.keyboard.type("How")
    page.wait_for_selector("#finder ol li")


def open_menu(page: Page) -> None:
    open_sidebar(page)
    page.locator("[data-more]").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#talk-menu:popover-open")


def open_editor(page: Page) -> None:
    page.locator("[aria-label='Edit']").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".editing textarea")


def open_toast(page: Page) -> None:
    page.set_input_files(
        "input[type=file]", {"name": "x.png", "mimeType": "image/png", "buffer": b"x"}
    )
    page.wait_for_selector(".toast")


SHOWN = """([which, heading]) => {
    const dialog = document.querySelector(which);
    dialog.querySelector("h2").textContent = heading;
    dialog.showModal();
}"""

# The next Tab goes on from where the focus was last: at a button before everything, which is gone.
FROM_THE_TOP = """() => {
    const first = document.createElement("button");
    document.body.prepend(first);
    first.focus();
    first.remove();
}"""

OPENED: dict[str, Callable[[Page], None]] = {
    "the sidebar": open_sidebar,
    "search": open_finder,
    "a conversation's menu": open_menu,
    "models": lambda page: page.click("[popovertarget=models]"),
    "presets": lambda page: page.click("[popovertarget=presets]"),
    "keys": lambda page: page.evaluate("document.querySelector('#keys').showModal()"),
    "editing": open_editor,
    "a passage": lambda page: page.evaluate(SHOWN, ["#passage", "notes.md"]),
    "what cannot be undone": lambda page: page.evaluate(SHOWN, ["#sure", "Delete this file?"]),
    "a toast": open_toast,
}


@pytest.mark.parametrize("path", ["talk", *PAGES])
def test_the_tab_key_goes_through_everything_in_reading_order_and_is_seen(
    browser: Browser, home: Home, talk: str, path: str
) -> None:
    with browser.new_context() as context:
        page = home.signed_in(context)
        page.goto(home.address + (f"/c/{talk}" if path == "talk" else path))
        page.evaluate(FROM_THE_TOP)
        stops: int = page.evaluate(NUMBERED)
        places: list[int] = []
        for _ in range(stops):
            page.keyboard.press("Tab")
            here: dict[str, Any] = page.evaluate(FOCUSED)
            if here["place"] is None:
                break
            assert here["place"][1], here  # it has a name
            assert here["seen"], here
            assert here["ring"], here
            places.append(page.evaluate("document.activeElement.place"))
        assert len(places) > 8
        assert places == sorted(places)
        assert page.locator("[tabindex]:not([tabindex='0']):not([tabindex='-1'])").count() == 0


def test_nothing_moves_for_whoever_wants_that(browser: Browser, home: Home, talk: str) -> None:
    with browser.new_context(reduced_motion="reduce") as context:
        page = home.signed_in(context)
        page.route("**/web/turns", lambda route: None)  # an answer that never comes
        for path in ("/", f"/c/{talk}", "/settings", "/console"):
            page.goto(home.address + path)
            assert page.evaluate(MOVING) == [], path
        page.goto(home.address)
        page.fill("#composer textarea", "Hello?")
        page.keyboard.press("Enter")
        page.wait_for_selector(".waiting")
        assert page.evaluate(MOVING) == []


def test_an_answer_is_told_politely_a_block_at_a_time(browser: Browser, home: Home) -> None:
    """Two hundred tokens, three blocks: a reader hears blocks, and that it is done."""
    blocks = ["The puna is high. " * 20, "- one\n- two", "So it is."]
    text = "\n\n".join(blocks)

    def answer(route: Route) -> None:
        tokens = [text[at : at + 4] for at in range(0, len(text), 4)]
        route.fulfill(body=told(tokens), content_type="application/x-ndjson")

    with browser.new_context() as context:
        page = home.signed_in(context)
        page.route("**/web/turns", answer)
        page.goto(home.address)
        page.evaluate(HEARD)
        region = page.locator("#announcer")
        assert region.get_attribute("aria-live") == "polite"
        assert page.locator("[aria-live]:not(#announcer), [aria-live=assertive]").count() == 0
        page.fill("#composer textarea", "What is the puna?")
        page.keyboard.press("Enter")
        page.wait_for_selector(".failed")
        said: list[str] = page.evaluate("window.said")
        assert said[0] == "Puna is answering."
        assert "The puna is high." in said[1]
        assert len(said) <= len(blocks) + 2

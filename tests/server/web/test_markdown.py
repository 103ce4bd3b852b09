"""The page's Markdown in a real Chromium: whole or growing, hostile or plain."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from puna.server.web import assets
from puna.server.web.guard import Guard
from tests.server.web.browser import Watch, served
from tests.server.web.payloads import PAYLOADS

TEXT = """# The puna

High *grassland* of the **Andes**, between `3200` and 4800 m. See [a map](https://a.example "Map").

| animal | kg |
|---|---:|
| llama | 150 |
| alpaca | **65** |

1. soil is thin
2. nights freeze
   - even in summer
   - at noon too

- [x] one
- [ ] two

> Quoted, with a formula $a^2 + b^2 = c^2$ and a [source][1].

```python
def graze(herd: list[str]) -> int:
    return len(herd)  # 42
```

$$\\int_0^1 x\\,dx = \\tfrac12$$

Prices: $5 and $6 stay prices. ~~Gone.~~ Done.

[1]: https://example.org/source
"""

LISTED = "\n".join(f"{n}. Item **{n}** has `words`.\n   - and a part" for n in range(1, 90))
LOOSE = "\n\n".join(f"- Item *{n}* stands apart from the others." for n in range(60))
TABLE = "\n".join(["| n | square |", "|---|---:|", *(f"| {n} | **{n * n}** |" for n in range(200))])
CODE = "\n".join(
    f'def step_{n}(herd):\n    """Say \'moo\'\n    {n} times."""\n    return herd * {n}  # "yes"\n'
    for n in range(60)
)
LONG = {
    "a list": LISTED,
    "a loose list": LOOSE,
    "a table": TABLE,
    "code": f"```python\n{CODE}```",
    "plain code": f"~~~\n{CODE}~~~",
    "paragraphs": "\n\n".join(f"Some *words* of ${n}^2$ llamas, `x`." for n in range(150)),
    "all of them": "\n\n".join([LISTED, f"```python\n{CODE}```", TABLE, LOOSE, "The end."]),
}

SHOW = """async ([text, cuts]) => {
  const [{ Growing }, { write }] = await Promise.all(window.modules.map((one) => import(one)));
  const root = document.querySelector("#root");
  root.replaceChildren();
  if (!cuts) { write(root, text); return root.innerHTML; }
  const growing = new Growing(root);
  let from = 0;
  for (const cut of cuts) { growing.push(text.slice(from, cut)); from = cut; }
  growing.push(text.slice(from));
  growing.finish();
  return root.innerHTML;
}"""


TOUCHED = """async (text) => {
  const { Growing } = await import(window.modules[0]);
  const root = document.querySelector("#root");
  root.replaceChildren();
  const growing = new Growing(root);
  const observer = new MutationObserver(() => {});
  observer.observe(root, { subtree: true, childList: true, characterData: true });
  const blockOf = (node) => [...root.children].findIndex((block) => block.contains(node));
  const touched = [];
  for (let at = 0; at < text.length; at += 3) {
    const settled = root.children.length - 1;
    growing.push(text.slice(at, at + 3));
    for (const { target } of observer.takeRecords())
      if (target !== root && blockOf(target) < settled) touched.push(target.nodeName);
  }
  return touched;
}"""


READ = """async ([text, step]) => {
  const [{ Growing }, { lex }] = await Promise.all(window.modules.map((one) => import(one)));
  const root = document.querySelector("#root");
  root.replaceChildren();
  const seen = { read: 0, dear: 0 };
  let read = 0;
  const growing = new Growing(root, { read: (source) => ((read += source.length), lex(source)) });
  const observer = new MutationObserver(() => {});
  observer.observe(root, { subtree: true, childList: true, characterData: true });
  for (let at = 0; at < text.length; at += step) {
    read = 0;
    growing.push(text.slice(at, at + step));
    seen.read += read;
    seen.dear += read > 2000 || observer.takeRecords().length > 100;
  }
  return seen;
}"""


def bare_page(_: Request) -> Response:
    return HTMLResponse('<!doctype html><title>bare</title><div id="root" class="prose"></div>')


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    routes = [Route("/", bare_page), Route("/static/{version}/{path:path}", assets.static_file)]
    with served(Guard(Starlette(routes=routes))) as address:
        yield address


@pytest.fixture
def page(browser: Browser, origin: str) -> Iterator[Page]:
    with browser.new_context() as context:
        yield opened(context.new_page(), origin)


def opened(page: Page, origin: str) -> Page:
    page.goto(origin)
    modules = [assets.address("js/growing.js"), assets.address("js/markdown.js")]
    page.evaluate("(modules) => { window.modules = modules; }", modules)
    return page


def settled(page: Page) -> str:
    """The page once code and formulas have their colours."""
    page.evaluate(SHOW, [TEXT, None])
    page.wait_for_selector(".math.set .katex")
    page.wait_for_selector(".hl-keyword")
    html: str = page.evaluate(SHOW, [TEXT, None])
    return html


def test_every_way_of_cutting_a_text_gives_the_same_page(page: Page) -> None:
    whole = settled(page)
    draw = random.Random(5)
    for pieces in (2, 5, 20, 80, 300):
        cuts = sorted(draw.sample(range(1, len(TEXT)), pieces))
        assert page.evaluate(SHOW, [TEXT, cuts]) == whole


def test_blocks_that_are_done_are_never_touched_again(page: Page) -> None:
    settled(page)
    touched = page.evaluate(
        TOUCHED,
        TEXT.split("[1]:", maxsplit=1)[0],
    )
    assert touched == []


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_long_text_grows_into_the_same_page(page: Page, text: str) -> None:
    settled(page)
    cuts = list(range(7, len(text), 7))
    assert page.evaluate(SHOW, [text, cuts]) == page.evaluate(SHOW, [text, None])


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_the_next_word_of_a_long_answer_costs_what_it_costs_in_a_short_one(
    page: Page, text: str
) -> None:
    """What is read and drawn again with each token does not grow with the answer.

    A list is read once more when it is done, for then it is known whether it is a loose one.
    """
    settled(page)
    once = page.evaluate(READ, [text, 8])
    twice = page.evaluate(READ, [f"{text}\n\nAnd again:\n\n{text}", 8])
    assert twice["read"] < 2.1 * once["read"]
    assert once["read"] < 75 * len(text)
    assert twice["dear"] <= 6


@pytest.mark.parametrize(
    ("cut", "shown"),
    [
        ("some **bold", "<p>some <strong>bold</strong></p>"),
        ("some **", "<p>some</p>"),
        ("run `pip", "<p>run <code>pip</code></p>"),
        ("see [the map](https://exa", "<p>see the map</p>"),
        ("text\n-", "<p>text</p>"),
        ("| a | b |", ""),
        ("sum $$x^2", "<p>sum</p>"),
        ("1.", ""),
    ],
)
def test_half_a_mark_is_not_shown(page: Page, cut: str, shown: str) -> None:
    html = page.evaluate(
        """async (text) => {
          const { Growing } = await import(window.modules[0]);
          const root = document.querySelector("#root");
          root.replaceChildren();
          new Growing(root).push(text);
          return root.innerHTML;
        }""",
        cut,
    )
    assert html.replace(" </p>", "</p>") == shown


@pytest.mark.parametrize("cuts", [None, [2, 5, 7]])
def test_a_word_that_stands_behind_a_fence_alone_is_the_block(
    page: Page, cuts: list[int] | None
) -> None:
    page.evaluate(SHOW, ["```12\n```\n\nThat many.\n\n```python\nx\n```", cuts])
    assert page.locator("#root pre").all_inner_texts() == ["12", "x"]
    assert page.locator("#root figcaption span").all_inner_texts() == ["text", "python"]


def test_links_are_safe_and_pictures_stay_where_they_are(page: Page) -> None:
    source = "[a](https://a.example/) [b](javascript:hit()) ![c](https://b.example/c.png)"
    html = page.evaluate(SHOW, [source, None])
    assert 'rel="noopener noreferrer nofollow"' in html
    assert "<img" not in html
    assert "javascript:" not in html


@pytest.mark.parametrize("bypass_csp", [True, False])
def test_no_hostile_text_runs_or_calls_home(
    browser: Browser, origin: str, bypass_csp: bool
) -> None:
    with browser.new_context(bypass_csp=bypass_csp) as context:
        page = context.new_page()
        watch = Watch(page)
        opened(page, origin)
        for payload in PAYLOADS:
            page.evaluate(SHOW, [payload, None])
            page.evaluate(SHOW, [payload, list(range(1, len(payload), 7))])
        page.wait_for_timeout(400)
        assert watch.executions == 0
        assert watch.foreign(origin) == []
        assert watch.complaints == []

"""How smoothly a long conversation loads, scrolls and grows: the page alone, in a real Chromium.

    python -m bench.smooth [--throttle 4] [--pace 100] [--tokens 4000] [--trace FILE]

A conversation of 200 messages with tables, code and formulas is opened, scrolled from end to end,
and then an answer of so many tokens is told by a script at a steady pace, as a model would.
Prints the tasks that held the page longer than 50 ms, and the frames that came late.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from puna.server.web.site import Site
from puna.server.web.views import path_view
from tests.server.web.browser import chromium, served
from tests.server.web.home import Home
from tests.server.web.house import new_house
from tests.server.web.smooth import SAID, WATCH, Seen

PHONE = {"width": 375, "height": 720}
ENDED = """() => new Promise((ended) => {
  const look = setInterval(() => {
    if (document.querySelector(".message.live")) window.begun = true;
    else if (window.begun) clearInterval(look), setTimeout(ended, 300);
  }, 200);
})"""  # not the driver's own waiting, which looks at the page in each of its frames
SCROLL = """async (down) => {
  const scroll = document.querySelector(".scroll");
  const far = down ? scroll.scrollHeight : 0;
  for (let step = 0; step < 2000 && Math.abs(scroll.scrollTop - far) > 2; step += 1) {
    const before = scroll.scrollTop;
    scroll.scrollTop += down ? 300 : -300;
    await new Promise(requestAnimationFrame);
    if (scroll.scrollTop === before) break;
  }
}"""


class Scripted:
    """The site, but for answers: those are told by a script, a token at a time."""

    def __init__(self, site: ASGIApp, home: Home, talk: str, tokens: list[str], pace: float):
        self._site, self._home, self._talk = site, home, talk
        self._tokens, self._pace = tokens, pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"] == "/web/turns":
            answer = StreamingResponse(self._lines(), media_type="application/x-ndjson")
            await answer(scope, receive, send)
        else:
            await self._site(scope, receive, send)

    async def _lines(self) -> AsyncIterator[bytes]:
        talk = {"id": self._talk, "title": "A long talk"}
        yield _line({"type": "begin", "turn": "t", "conversation": talk})
        begun = asyncio.get_running_loop().time()
        for at, token in enumerate(self._tokens):
            await asyncio.sleep(begun + at / self._pace - asyncio.get_running_loop().time())
            yield _line({"type": "text", "text": token})
        yield _line({"type": "end", "path": await asyncio.to_thread(self._ended)})

    def _ended(self) -> list[dict[str, Any]]:
        """The path with what was said and answered at its end."""
        home, records = self._home, self._home.house.assistant.messages
        last = records.path(home.owner, self._talk).entries[-1]
        said = records.say(home.owner, self._talk, last.id, "Go on.")
        answer = records.open_answer(home.owner, self._talk, said.id, model="smollm2")
        records.finish(home.owner, answer.id, "complete", "".join(self._tokens))
        return path_view(records.path(home.owner, self._talk).entries, {})


def _line(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode() + b"\n"


def long_answer(tokens: int) -> list[str]:
    """Text, a list, a table, code and formulas, each longer than a screen; four letters a token."""
    lines = [f"{n}. Item **{n}** has `words`, and ${n}^2 = {n * n}$ too." for n in range(1, 60)]
    rows = [f"| {n} | **{n * n}** | a few words |" for n in range(60)]
    code = [f'def step_{n}(herd):\n    """Say moo."""\n    return herd * {n}\n' for n in range(60)]
    parts = [
        "# A long answer\n\nIt has everything.",
        "\n".join(lines),
        "\n".join(["| n | square | note |", "|---|---:|---|", *rows]),
        "\n".join(["```python", *code, "```"]),
        "$$\\int_0^1 x\\,dx = \\tfrac12$$",
        "\n\n".join(f"Paragraph {n} of *many*, about grass and llamas." * 4 for n in range(8)),
    ]
    text = ("\n\n".join(parts) + "\n\n") * (tokens // 2000 + 1)
    return [text[at : at + 4] for at in range(0, 4 * tokens, 4)]


@contextmanager
def opened(browser: Browser, options: argparse.Namespace) -> Iterator[Page]:
    """The page of a long conversation, watched from its start."""
    with tempfile.TemporaryDirectory() as folder:
        house = new_house(Path(folder))
        home = Home(house, "")
        talk = home.talk(*SAID, title="A long talk")
        script = long_answer(options.tokens)
        with served(Scripted(Site(house), home, talk, script, options.pace)) as home.address:
            size = PHONE if options.throttle > 1 else {"width": 1280, "height": 800}
            with browser.new_context(viewport=size) as context:  # type: ignore[arg-type]
                page = home.signed_in(context)
                page.add_init_script(f"({WATCH})()")
                cdp = context.new_cdp_session(page)
                cdp.send("Emulation.setCPUThrottlingRate", {"rate": options.throttle})
                if options.trace:
                    browser.start_tracing(page=page, path=options.trace)
                page.goto(f"{home.address}/c/{talk}")
                yield page
                if options.trace:
                    browser.stop_tracing()


def watched(page: Page) -> Iterator[tuple[str, Seen]]:
    """Load, scroll up and down, and hear the answer."""
    page.wait_for_selector(".math.set .katex")
    page.wait_for_timeout(1500)
    yield "loaded", Seen.of(page)
    page.evaluate(SCROLL, False)
    page.evaluate(SCROLL, True)
    yield "scrolled from end to end and back", Seen.of(page)
    page.fill("#composer textarea", "Go on.")
    page.keyboard.press("Enter")
    page.evaluate(ENDED)
    yield "while the answer was told", Seen.of(page)


def main() -> None:
    """Print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--throttle", type=float, default=1)
    parser.add_argument("--pace", type=float, default=100)
    parser.add_argument("--tokens", type=int, default=4000)
    parser.add_argument("--trace", type=Path)
    options = parser.parse_args()
    with chromium() as browser, opened(browser, options) as page:
        for name, seen in watched(page):
            print(f"{name}: {seen}", flush=True)


if __name__ == "__main__":
    main()

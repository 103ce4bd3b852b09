"""How long a person waits for the first word: Enter pressed in a real Chromium.

    python -m bench.first_word [--fresh 5] [--repeat 10]

Starts `puna serve` with the default model on an empty database, so many times afresh.  Prints
seconds from the key to the first word on the page, for the first question of all, for new chats,
for second questions, and for a fourth person while three others are being answered.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Iterator
from statistics import median

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bench.serving import serving

PORT = 8699
Times = dict[str, list[float]]
PERSON = {"name": "Ana", "email": "ana@example.org", "password": "a long password"}
LINK = re.compile(r"http://\S+/welcome#\S+")
WRITING_MS = 500  # between the first letter and Enter; a person takes longer
WATCH = """() => { window.first = new Promise((heard) => {
  let pressed = 0;
  const spoken = () => document.querySelector(".message.assistant:last-child .prose")?.textContent;
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    pressed = performance.now();
    new MutationObserver((_, watch) => {
      if (!document.querySelector(".message.live") || !spoken()) return;
      watch.disconnect();
      requestAnimationFrame(() => heard((performance.now() - pressed) / 1000));
    }).observe(document.body, { childList: true, subtree: true, characterData: true });
  }, { capture: true, once: true });
}); }"""


def ask(page: Page, text: str) -> float:
    """Press Enter; returns the seconds until the first word is drawn, and stops the answer."""
    page.evaluate(WATCH)
    page.fill("#composer textarea", text)
    page.wait_for_timeout(WRITING_MS)
    page.keyboard.press("Enter")
    waited: float = page.evaluate("window.first")
    page.keyboard.press("Escape")
    page.wait_for_selector(".message.live", state="detached")
    return waited


def measured(browser: Browser, link: str, repeat: int) -> Times:
    """Make the owner's account and ask, alone and beside others."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(link)
    for field, text in PERSON.items():
        page.fill(f"#{field}", text)
    page.click("text=Begin")
    page.wait_for_selector("#composer")
    home = link.partition("/welcome")[0]
    times: Times = {"the very first": [], "new chat": [], "second question": []}
    for at in range(repeat):
        page.goto(home)
        times["new chat" if at else "the very first"].append(ask(page, f"Why is grass green? {at}"))
        times["second question"].append(ask(page, "And in winter?"))
    times["beside three others"] = list(beside_others(context, page, home, repeat))
    context.close()
    return times


def beside_others(context: BrowserContext, page: Page, home: str, repeat: int) -> Iterator[float]:
    """Ask while three pages beside this one hear endless answers."""
    others = [context.new_page() for _ in range(3)]
    for other in others:
        other.goto(home)
    for at in range(repeat):
        for other in others:
            if not other.locator(".message.live").count():
                other.fill("#composer textarea", "Write a very long story in many chapters.")
                other.keyboard.press("Enter")
                other.wait_for_selector(".message.live .prose > *")
        page.bring_to_front()  # behind other tabs a browser draws but twice a second
        page.goto(home)
        yield ask(page, f"Why is the sky blue? {at}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=10)
    options = parser.parse_args()
    every: Times = defaultdict(list)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for _ in range(options.fresh):
            with serving(PORT) as said:
                link = LINK.findall(said)[0]
                for name, times in measured(browser, link, options.repeat).items():
                    every[name] += times
        browser.close()
    for name, times in every.items():
        print(f"{name}: median {median(times):.3f} s, longest {max(times):.3f} s, {len(times)}")


if __name__ == "__main__":
    main()

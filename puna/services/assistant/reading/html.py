"""HTML: what a reader would see, with the line of the source and the heading above it.

In: a page's source.  Out: lines.  Runs no script, loads nothing, keeps no attribute.
"""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

from puna.services.assistant.reading.document import Line

_UNSEEN = {"script", "style", "template", "noscript", "title", "svg", "math", "iframe", "object"}
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_BLOCKS = _HEADINGS | {
    "p", "div", "li", "tr", "br", "hr", "table", "ul", "ol", "dl", "dt", "dd", "blockquote", "pre",
    "section", "article", "header", "footer", "main", "nav", "aside", "figure", "figcaption",
    "form", "body", "address", "details", "summary", "caption", "option",
}  # fmt: skip
_CELLS = {"td", "th"}
_VOID = {"br", "hr", "img", "input", "meta", "link", "col", "area", "source", "wbr", "embed"}


def html_lines(source: str) -> Iterator[Line]:
    """Yield the blocks of the page's text."""
    page = _Page()
    page.feed(source)
    page.close()
    page.end_line()
    yield from page.lines


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[Line] = []
        self._words: list[str] = []
        self._started = 1
        self._heading = ""
        self._within = ""  # the heading that is open
        self._unseen: list[str] = []  # open elements that nobody sees, from the outermost

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._unseen or tag in _UNSEEN or _is_hidden(attrs):
            if tag not in _VOID:
                self._unseen.append(tag)
            return
        if tag in _BLOCKS:
            self.end_line()
        if tag in _HEADINGS:
            self._within = tag
        if tag in _CELLS and self._words:
            self._words.append(" | ")

    def handle_endtag(self, tag: str) -> None:
        if self._unseen:
            if tag in self._unseen:
                while self._unseen.pop() != tag:
                    pass
            return
        if tag in _BLOCKS:
            self.end_line()

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        if not self._words:
            lead = len(data) - len(data.lstrip())
            self._started = self.getpos()[0] + data[:lead].count("\n")
        if data.strip() or self._words:
            self._words.append(data)

    def end_line(self) -> None:
        """Keep what was gathered as one line."""
        text = " ".join("".join(self._words).split())
        self._words = []
        if self._within and text:
            self._heading, self._within = text, ""
        if text:
            self.lines.append(Line(text, line=self._started, heading=self._heading))


def _is_hidden(attrs: list[tuple[str, str | None]]) -> bool:
    """Say whether the page hides it: what a person does not see, the model does not read."""
    values = dict(attrs)
    style = (values.get("style") or "").replace(" ", "").lower()
    hidden = "hidden" in values or values.get("aria-hidden") == "true"
    return hidden or "display:none" in style or "visibility:hidden" in style

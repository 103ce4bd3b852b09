"""Draws docs/chat.svg: a real chat, typed into a real terminal, as it stood at its end.

    PATH=.venv/bin:$PATH python docs/picture.py     # wants tmux and the default model

In: nothing.  Out: the picture.  Invents nothing: what is drawn is what tmux shows.
"""

from __future__ import annotations

import subprocess
import time
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

PICTURE = Path(__file__).with_name("chat.svg")
COLUMNS, LINES = 84, 24
DEADLINE_S = 60.0

NIGHT = TerminalTheme(
    (22, 24, 32),
    (214, 219, 230),
    [
        (60, 64, 80),
        (240, 113, 120),
        (166, 218, 149),
        (238, 212, 159),
        (138, 173, 244),
        (198, 160, 246),
        (125, 207, 224),
        (214, 219, 230),
    ],
)
CHARACTER = 12.04, 24.4  # width and height that rich gives one of DejaVu Sans Mono at 20 px
MARGIN = 20

# rich's own frame loads a font from the web; a picture in a README should not.
FRAME = """\
<svg viewBox="-MARGIN -MARGIN WIDTH HEIGHT" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px "DejaVu Sans Mono", Menlo, Consolas, monospace; }}
{styles}
</style>
<defs>
{lines}
</defs>
<rect x="-MARGIN" y="-MARGIN" width="WIDTH" height="HEIGHT" rx="10" fill="#161820"/>
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</svg>
"""


class Terminal:
    """A tmux of its own, with a shell in it."""

    def __init__(self) -> None:
        self._tmux("new-session", "-d", f"-x{COLUMNS}", f"-y{LINES}", "env PS1='$ ' bash --norc")
        self._tmux("set-option", "status", "off")

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-L", "puna-picture", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def enter(self, line: str, then: str) -> None:
        """Type a line, and wait until the screen's last line is `then`."""
        self._tmux("send-keys", "-l", line)
        self._tmux("send-keys", "Enter")
        time.sleep(0.5)
        deadline = time.monotonic() + DEADLINE_S
        while self.screen().plain.splitlines()[-1:] != [then]:
            assert time.monotonic() < deadline, self.screen().plain
            time.sleep(0.1)

    def interrupt(self, after_s: float) -> None:
        """Press Ctrl-C."""
        time.sleep(after_s)
        self._tmux("send-keys", "C-c")
        time.sleep(0.5)

    def screen(self) -> Text:
        """What is to be seen, with its colours."""
        text = Text.from_ansi(self._tmux("capture-pane", "-e", "-p"))
        text.rstrip()
        return text

    def close(self) -> None:
        """End the shell and its tmux."""
        self._tmux("kill-server")


def talk(terminal: Terminal) -> Text:
    """Have the chat; return the screen at its end."""
    terminal.enter("clear", "$")
    terminal.enter("puna chat", ">")
    terminal.enter("Explain in one sentence what photosynthesis is.", ">")
    terminal.enter("Write a Python function that adds two numbers.", ">")
    return terminal.screen()


def draw(screen: Text) -> None:
    """Write the picture."""
    console = Console(record=True, width=COLUMNS, file=StringIO())
    console.print(screen)
    console.print()
    lines = screen.plain.count("\n") + 1
    picture = console.export_svg(
        title="",
        theme=NIGHT,
        code_format=_framed(COLUMNS * CHARACTER[0], lines * CHARACTER[1]),
        font_aspect_ratio=CHARACTER[0] / 20,
    )
    PICTURE.write_text(picture, encoding="utf-8")


def _framed(width: float, height: float) -> str:
    numbers = {"WIDTH": width + 2 * MARGIN, "HEIGHT": height + 2 * MARGIN, "MARGIN": MARGIN}
    frame = FRAME
    for name, number in numbers.items():
        frame = frame.replace(name, f"{number:.0f}")
    return frame


def main() -> None:
    """Chat and draw."""
    terminal = Terminal()
    try:
        draw(talk(terminal))
    finally:
        terminal.close()


if __name__ == "__main__":
    main()

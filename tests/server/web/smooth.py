"""A conversation of 200 messages, and how smoothly its page moves, as Chromium tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

MESSAGES = 200
LONG_MS = 50  # a task that the W3C's Long Tasks calls long, or a frame that comes late
ANSWER = """Some **words** about `grass`, with a [link](https://a.example).

| animal | kg |
|---|---:|
| llama | 150 |

1. one
   - two

```python
def graze(herd: list[str]) -> int:
    return len(herd)  # 42
```

And $a^2 + b^2 = c^2$, as ever.
"""
SAID = [text for n in range(MESSAGES // 2) for text in (f"Question {n}?", ANSWER)]
WATCH = """() => {
  window.tasks = [];
  new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((e) => e.duration)))
    .observe({ type: "longtask", buffered: true });
  window.frames_ = [];
  let last = performance.now();
  const frame = (now) => {
    window.frames_.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}"""
TAKEN = """() => {
  const seen = { tasks: window.tasks, frames: window.frames_ };
  window.tasks = []; window.frames_ = [];
  return seen;
}"""


@dataclass(frozen=True)
class Seen:
    """What the page did for a while, in milliseconds."""

    tasks: list[float]
    frames: list[float]

    @classmethod
    def of(cls, page: Page) -> Seen:
        taken: dict[str, Any] = page.evaluate(TAKEN)
        return cls(taken["tasks"], taken["frames"])

    @property
    def longest(self) -> float:
        return max(self.tasks, default=0.0)

    @property
    def hitched(self) -> float:
        """The share of the time that passed in long tasks."""
        return sum(self.tasks) / max(sum(self.frames), 1.0)

    def __str__(self) -> str:
        frames = sorted(self.frames) or [0.0]
        late = sum(frame > LONG_MS for frame in frames)
        middle = frames[len(frames) // 2]
        return (
            f"{len(self.tasks)} long tasks, the longest {self.longest:.0f} ms; {len(frames)} "
            f"frames, the middle one {middle:.1f} ms, 95 % within "
            f"{frames[len(frames) * 95 // 100]:.1f} ms, {late} over {LONG_MS} ms"
        )

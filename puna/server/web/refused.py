"""A request that is not granted, said so that a person understands it.

Raised by the handlers; the site turns it into a page or into JSON.
"""

from __future__ import annotations


class RefusedError(Exception):
    """Status, one sentence, and where to go from here."""

    def __init__(
        self, status: int, message: str, *, link: str | None = None, link_text: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.link = link
        self.link_text = link_text

    def as_json(self) -> dict[str, object]:
        """What the page's script shows."""
        words = {"message": self.message, "link": self.link, "link_text": self.link_text}
        return {"error": words}


def not_found(what: str = "page") -> RefusedError:
    """The same answer for what does not exist and for what is somebody else's."""
    return RefusedError(404, f"There is no such {what}.")

"""Templates in, pages out; every value is escaped.

Knows which folder the templates lie in and how a static file is addressed.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from puna.server.web import assets, words

ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)
ENVIRONMENT.globals["static"] = assets.address
ENVIRONMENT.globals["words"] = words


def page(template: str, status: int = 200, **context: object) -> HTMLResponse:
    """Fill a template; a name that it wants and does not get is an error."""
    return HTMLResponse(ENVIRONMENT.get_template(template).render(**context), status)

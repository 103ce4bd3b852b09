"""HTTP in, HTTP out: OpenAI's API over the waist, metered by the accounts.

In: requests with keys.  Out: answers, streams, errors in OpenAI's shapes.
`app.py` is the first file to read.  Knows no configuration and no service.
"""

from puna.server.app import create_app
from puna.server.services import Services
from puna.server.settings import ServerSettings

__all__ = ["ServerSettings", "Services", "create_app"]

"""What was answered and may be built upon: responses by id, each with what was asked.

In: a tenant, plain objects.  Out: the same again, until they are deleted.
Knows neither HTTP nor how an answer is made.
"""

from puna.services.responses.responses import Item, Kept, ResponseBounds, Responses

__all__ = ["Item", "Kept", "ResponseBounds", "Responses"]

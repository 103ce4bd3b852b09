"""OpenAI's Responses API: turns that the server remembers, each built upon an earlier one.

In: a request's items.  Out: a response, whole, as events, or made in the background.
`routes.py` is the first file to read; what is kept lives in `services/responses`.
"""

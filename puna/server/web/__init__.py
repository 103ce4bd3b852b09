"""The assistant's pages and the owner's console, with the little script that they need.

Requests of a browser in, pages and lines of JSON out.  Knows no SQL and no
engine: accounts, models and the assistant's service are handed to it.
"""

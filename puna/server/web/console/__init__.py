"""The owner's console: who uses the server, with what, for how much, and how it fares.

Each file is one page and what its buttons do.  Knows no SQL: it asks accounts
and models.
"""

"""`puna chat` through a server: its conversations, presets and tools, at the terminal.

In: a person's lines, a server's HTTP.  Out: the same talk that the page shows.  Loads no model.
"""

"""What is kept of a secret that nobody can guess: a key's, a session's, a link's.

In: the secret, in whatever words somebody says it.  Out: 32 bytes that match the same secret alone.
Does not know whose it is.  Passwords, which can be guessed, are users.py's.
"""

from __future__ import annotations

from hashlib import sha256


def hashed(secret: str) -> bytes:
    """Return its SHA-256: a fast hash is right for 256 random bits."""
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()

"""The byte alphabet of byte-level BPE: every byte as one printable character.

In: bytes, or a token as its vocabulary spells it.  Out: the other of the two.
Knows no vocabulary.  Source: GPT-2 (Radford et al., 2019), section 2.2.
"""

from __future__ import annotations

_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]

BYTE_CHARACTERS: tuple[str, ...] = tuple(
    chr(byte) if byte in _PRINTABLE else chr(256 + _OTHERS.index(byte)) for byte in range(256)
)
_CHARACTER_BYTES = {character: bytes([byte]) for byte, character in enumerate(BYTE_CHARACTERS)}


def spell(data: bytes) -> str:
    """Write bytes in the alphabet: b" the" is "Ġthe"."""
    return data.decode("latin-1").translate(_LATIN_TO_ALPHABET)


def unspell(token: str) -> bytes:
    """Read a token; a character outside the alphabet stands for its own UTF-8 bytes."""
    return b"".join(_CHARACTER_BYTES.get(c) or c.encode("utf-8", "replace") for c in token)


_LATIN_TO_ALPHABET = dict(enumerate(BYTE_CHARACTERS))

"""A weight as it lies in a file.

In: a name, a block type, a shape and the bytes.  Out: the same, checked once.
Does not know what the numbers are for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from puna.formats.blocks import BlockType


@dataclass(frozen=True, eq=False)
class Tensor:
    """`data` is a read-only view into the file's map, exactly `type.nbytes(prod(shape))` long.

    `shape` is in NumPy order: (rows, columns), a row is contiguous and fills
    whole blocks.  The first byte may have any alignment.
    """

    name: str
    type: BlockType
    shape: tuple[int, ...]
    data: NDArray[np.uint8]

"""Files in, named tensors out.

In: paths and model names.  Out: checkpoints over mmap, and a store of pulled
models.  Trusts no byte; knows neither the network nor the tokenizer.
"""

from puna.formats.checkpoint import Checkpoint, Tensor, open_checkpoint

__all__ = ["Checkpoint", "Tensor", "open_checkpoint"]

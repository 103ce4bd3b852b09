"""One forward pass of a Llama: a checkpoint and a batch of token ids in, logits out.

`llama.py` is the network, top to bottom; `config.py`, `weights.py` and `rope.py`
are what it needs from a file.  Knows no text, no request and no sampling.
"""

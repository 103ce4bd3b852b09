"""A model's name or path opened: weights, tokenizer and template, side by side.

In: what to open and how much memory to use.  Out: the parts, checked and
loaded.  Knows no request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from puna.errors import SettingError
from puna.folders import data_folder
from puna.formats.checkpoint import Checkpoint, open_checkpoint
from puna.formats.store import ModelStore
from puna.kernels import BLOCK_TOKENS, KvType
from puna.model.config import LlamaConfig
from puna.model.llama import Llama
from puna.model.packed import PackedCache
from puna.text.template import Template, choose_template
from puna.text.tokenizer import Tokenizer

LONGEST_CONTEXT_UNASKED = 8192  # an 8B Llama's keys and values take 1 GiB for as much
KV_BYTES_UNASKED = 2**29
_KV_VALUE_BYTES: dict[KvType, int] = {"f16": 2, "int8": 1}


@dataclass(frozen=True)
class Opened:
    """The parts of an open model."""

    checkpoint: Checkpoint
    model: Llama
    tokenizer: Tokenizer
    template: Template
    packed: PackedCache | None  # may still be writing

    def close(self) -> None:
        """Give back weights, cache and maps."""
        if self.packed is not None:
            self.packed.close()  # reads the model's memory
        self.model.close()
        self.checkpoint.close()


def open_model(
    model: str | Path,
    *,
    context_tokens: int | None,
    kv_tokens: int | None,
    threads: int | None,
    isa: str | None,
    max_batch_tokens: int,
    home: str | Path | None,
    progress: Callable[[int, int], None] | None,
    reference: bool,
    packed_cache: bool,
    kv_type: KvType,
) -> Opened:
    """Open and load; `progress` hears of bytes of weights.

    Raises ModelNotFoundError, a ModelFileError, or SettingError for a context
    or a cache that the model cannot have.
    """
    packed = PackedCache.of_user() if packed_cache else None
    store = ModelStore(Path(home).expanduser() if home else data_folder())
    checkpoint = open_checkpoint(store.find(model))
    try:
        config = LlamaConfig.from_checkpoint(checkpoint)
        context = context_for(config, context_tokens)
        tokenizer = Tokenizer.from_checkpoint(checkpoint)
        template = choose_template(checkpoint, tokenizer)
        llama = Llama.from_checkpoint(
            checkpoint,
            context_tokens=context,
            kv_blocks=_kv_blocks(config, context, kv_tokens, kv_type),
            kv_type=kv_type,
            max_batch_tokens=max_batch_tokens,
            threads=threads,
            isa=isa,
            progress=progress,
            reference=reference,
            packed=packed,
        )
    except BaseException:
        checkpoint.close()
        raise
    return Opened(checkpoint, llama, tokenizer, template, packed)


def context_for(config: LlamaConfig, wanted: int | None) -> int:
    """Return the context asked for, which the model itself judges, or a modest one."""
    if wanted is not None:
        return wanted
    return min(config.max_position_embeddings, LONGEST_CONTEXT_UNASKED)


def kv_bytes(
    config: LlamaConfig, context: int, kv_tokens: int | None, kv_type: KvType = "f16"
) -> int:
    """Return what the cache of keys and values takes in memory."""
    blocks = _kv_blocks(config, context, kv_tokens, kv_type)
    return blocks * BLOCK_TOKENS * _token_bytes(config, kv_type)


def _kv_blocks(config: LlamaConfig, context: int, kv_tokens: int | None, kv_type: KvType) -> int:
    """Return the blocks for `kv_tokens`, or for 512 MiB but at least one whole context."""
    if kv_tokens is not None and kv_tokens < BLOCK_TOKENS:
        raise SettingError(f"kv_tokens is {kv_tokens}; it must be at least {BLOCK_TOKENS}")
    affordable = KV_BYTES_UNASKED // _token_bytes(config, kv_type)
    tokens = max(context, affordable) if kv_tokens is None else kv_tokens
    return -(-tokens // BLOCK_TOKENS)


def _token_bytes(config: LlamaConfig, kv_type: KvType) -> int:
    """Return what the keys and values of one token take."""
    values = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    return values * _KV_VALUE_BYTES[kv_type]

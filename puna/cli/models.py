"""`puna models`: what is in the model store, and what a model is made of.

In: names in the store, or paths.  Out: sizes, shapes and licences on stdout.
Reads the files' headers; `verify` alone loads weights.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from puna.cli import options
from puna.cli.load import open_weights
from puna.cli.progress import bytes_bar
from puna.config import Settings

if TYPE_CHECKING:
    from puna.formats import Checkpoint
    from puna.model.packed import PackedCheck

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name in the model store, or a path.")]

models = typer.Typer(help="List, show, verify and remove models.", invoke_without_command=True)


@models.callback(invoke_without_command=True)
def list_models(context: typer.Context) -> None:
    """List the models in the store; show and remove them with the commands below."""
    if context.invoked_subcommand is not None:
        return
    from puna.formats.store import ModelStore

    settings: Settings = context.obj
    stored = ModelStore(settings.home).models()
    for model in stored:
        packed = _size(_packed_files(model.path))
        print(
            f"{_mb(model.size_bytes):>12}  {model.name}{f', {_mb(packed)} packed' * bool(packed)}"
        )
    if not stored:
        print(f"no models in {settings.home} yet; fetch one: puna pull smollm2", file=sys.stderr)


@models.command(epilog="Example: puna models show smollm2")
def show(context: typer.Context, name: Name, as_json: options.Json = False) -> None:
    """Show what a model is made of.

    Its shape, its block types, the memory that it takes, and its licence.
    """
    settings: Settings = context.obj
    with open_weights(settings, name) as checkpoint:
        facts = describe(checkpoint)
    if as_json:
        print(json.dumps(facts))
    else:
        print(_as_text(facts))


@models.command(epilog="Example: puna models verify hf:ORG/REPO:Q4_K_M")
def verify(context: typer.Context, name: Name) -> None:
    """Check the packed weights that Puna keeps of a large model.

    Reads the model whole, packs it anew and compares every byte. Packed weights that differ are
    removed; the next start writes them again.
    """
    from puna.model.packed import PackedCache, PackedCheck

    settings: Settings = context.obj
    check = PackedCheck(PackedCache.of_user())
    _load_through(settings, name, check)
    if check.file is None:
        print("no packed weights are kept of it as it is now")
    elif check.sound:
        print(f"{check.file}: sound")
    else:
        check.file.unlink(missing_ok=True)
        what = ", ".join(check.damaged[:3]) or "what they were made from"
        print(f"{check.file}: differs in {what}; removed", file=sys.stderr)
        raise typer.Exit(1)


def _load_through(settings: Settings, name: str, check: PackedCheck) -> None:
    from puna.model.llama import Llama

    with open_weights(settings, name) as checkpoint, bytes_bar("Verifying") as progress:
        Llama.from_checkpoint(
            checkpoint,
            kv_blocks=1,
            threads=settings.threads,
            isa=settings.isa,
            progress=progress,
            packed=check,
        ).close()


@models.command(epilog="Example: puna models remove smollm2 --yes")
def remove(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name in the model store.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a model from the store, and its packed weights."""
    from puna.formats.store import ModelStore

    settings: Settings = context.obj
    store = ModelStore(settings.home)
    model = store.get(name)
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("nobody is there to confirm it; say --yes")
        typer.confirm(f"Remove {model.name}, {_mb(model.size_bytes)}, from the store?", abort=True)
    for file in _packed_files(model.path):
        file.unlink(missing_ok=True)
    store.remove(name)


def _packed_files(path: Path) -> list[Path]:
    from puna.model.packed import PackedCache

    return PackedCache.of_user().files(path)


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)


@models.command(epilog="Example: puna models shapes")
def shapes() -> None:
    """Print Llama's shapes and their memory."""
    from puna.cli.shapes import memory_table

    print(memory_table(), end="")


def describe(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what a model is made of; sizes in bytes, the KV cache for its whole context."""
    from puna.cli.shapes import KV_VALUE_BYTES
    from puna.model.config import LlamaConfig

    config = LlamaConfig.from_checkpoint(checkpoint)
    kv_values = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    tensors = checkpoint.tensors.values()
    return {
        "path": str(checkpoint.path),
        "format": checkpoint.format,
        "file_bytes": checkpoint.file_bytes,
        "parameters": sum(prod(tensor.shape) for tensor in tensors),
        "layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "heads": config.num_attention_heads,
        "kv_heads": config.num_key_value_heads,
        "vocab_size": config.vocab_size,
        "block_types": dict(Counter(tensor.type.name for tensor in tensors).most_common()),
        "context_tokens": config.max_position_embeddings,
        "packed_bytes": _size(_packed_files(checkpoint.path)),
        "weight_bytes": sum(tensor.data.nbytes for tensor in tensors),
        "kv_bytes": kv_values * KV_VALUE_BYTES * config.max_position_embeddings,
        "licence": _licence(checkpoint),
    }


def _licence(checkpoint: Checkpoint) -> str | None:
    metadata = checkpoint.metadata
    return metadata.get("general.license") or metadata.get("general.license.name")


def _as_text(facts: dict[str, Any]) -> str:
    types = ", ".join(f"{name} x {count}" for name, count in facts["block_types"].items())
    rows = {
        "path": facts["path"],
        "format": f"{facts['format']}, {_mb(facts['file_bytes'])}",
        "parameters": f"{facts['parameters']:,}",
        "shape": f"{facts['layers']} layers, hidden size {facts['hidden_size']:,}, "
        f"{facts['heads']} heads, {facts['kv_heads']} KV heads, "
        f"{facts['vocab_size']:,} tokens of vocabulary",
        "tensors": types,
        "context": f"{facts['context_tokens']:,} tokens",
        "memory": f"{_mb(facts['weight_bytes'])} of weights, "
        f"{_mb(facts['kv_bytes'])} of keys and values for the whole context",
        "packed": f"{_mb(facts['packed_bytes'])} kept on disk for the next start",
        "licence": facts["licence"] or "the file names none",
    }
    if not facts["packed_bytes"]:
        del rows["packed"]
    return "\n".join(f"{label:<11}{value}" for label, value in rows.items())


def _mb(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"

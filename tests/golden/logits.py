"""Writes logits.npz: what Hugging Face's LlamaForCausalLM answers to each of the cases.

    make golden

Needs torch and transformers, which the tests do without.  Knows nothing of our
network.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from tests.golden.cases import CASES, LOGITS, Case

CHUNK_TOKENS = 512
"""A whole long prompt at once would need gigabytes of attention scores."""


def huggingface_model(case: Case) -> Any:
    """Put the case's weights into Hugging Face's network, in float32."""
    config = transformers.LlamaConfig(**case.llama.config, attn_implementation="eager")
    model = transformers.LlamaForCausalLM(config).eval().to(torch.float32)
    weights = {name: torch.from_numpy(w.copy()) for name, w in case.llama.tensors.items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    tied = {"lm_head.weight"} if case.llama.tied else set()
    assert set(missing) == tied, missing
    assert not unexpected, unexpected
    return model


def logits(case: Case) -> NDArray[np.float32]:
    """Read the tokens chunk by chunk; keep the logits of the case's rows."""
    model, cache = huggingface_model(case), transformers.DynamicCache()
    tokens = torch.from_numpy(case.tokens.astype(np.int64))[None]
    answers = []
    with torch.inference_mode():
        for start in range(0, case.length, CHUNK_TOKENS):
            chunk = tokens[:, start : start + CHUNK_TOKENS]
            answers.append(model(chunk, past_key_values=cache, use_cache=True).logits[0])
    kept: NDArray[np.float32] = torch.cat(answers).numpy()[case.rows]
    return kept


def main() -> None:
    """Answer every case and write the file."""
    torch.manual_seed(0)
    kept: dict[str, Any] = {"torch": torch.__version__, "transformers": transformers.__version__}
    for name, case in CASES.items():
        kept[f"{name}/logits"] = logits(case)
        kept[f"{name}/weights"] = case.fingerprint()
        print(name, kept[f"{name}/logits"].shape)
    np.savez_compressed(LOGITS, **kept)
    print(LOGITS, LOGITS.stat().st_size, "bytes")


if __name__ == "__main__":
    main()

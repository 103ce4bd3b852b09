"""What a request took, in OpenAI's shape and in llama.cpp's.

In: the engine's counts.  Out: objects for JSON.
"""

from __future__ import annotations

from typing import Any

from puna.chat import Timings, Usage


def usage_object(usage: Usage) -> dict[str, Any]:
    """OpenAI's `usage`."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def timings_object(usage: Usage, timings: Timings) -> dict[str, Any]:
    """llama.cpp's `timings`: what was computed, without what the cache held."""
    prompt_n = usage.prompt_tokens - usage.cached_tokens
    return {
        "cache_n": usage.cached_tokens,
        "queued_ms": timings.queued_s * 1e3,
        **_pace("prompt", prompt_n, timings.prefill_s),
        **_pace("predicted", usage.completion_tokens, timings.decode_s),
    }


def _pace(what: str, tokens: int, seconds: float) -> dict[str, Any]:
    return {
        f"{what}_n": tokens,
        f"{what}_ms": seconds * 1e3,
        f"{what}_per_token_ms": seconds * 1e3 / tokens if tokens else 0.0,
        f"{what}_per_second": tokens / seconds if seconds else 0.0,
    }

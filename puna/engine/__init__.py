"""Token ids in, token ids out, for many requests at once.

In: requests over one model.  Out: emissions, token by token.  Knows no text,
no tokenizer and no network: a model is whatever keeps the `Model` protocol.
"""

from puna.engine.engine import Engine
from puna.engine.load import Load
from puna.engine.logprobs import TokenScore
from puna.engine.loop import EngineLoop, Ticket
from puna.engine.model import Model
from puna.engine.request import Allowance, Request, SamplingParams, StopCheck, TokenMask
from puna.engine.sequence import Emission, SequenceStats
from puna.engine.settings import EngineSettings

__all__ = [
    "Allowance",
    "Emission",
    "Engine",
    "EngineLoop",
    "EngineSettings",
    "Load",
    "Model",
    "Request",
    "SamplingParams",
    "SequenceStats",
    "StopCheck",
    "Ticket",
    "TokenMask",
    "TokenScore",
]

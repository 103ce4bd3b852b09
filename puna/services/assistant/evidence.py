"""Evidence: the passages of a person's files that the model reads beside a question.

In: the question, the files, how many tokens there are.  Out: the prompt's text, its passages
numbered in the turn's sources.  Does not know the conversation.
"""

from __future__ import annotations

from collections.abc import Sequence

from puna.services.assistant.citations import CountTokens, Source, Sources, fit, prompt_text
from puna.services.assistant.files import Files, Found
from puna.services.assistant.owner import Owner

WHOLE_CHARACTERS = 3  # a token: a file of fewer is read whole


def evidence(
    files: Files,
    owner: Owner,
    question: str,
    file_ids: Sequence[str],
    *,
    count: CountTokens,
    budget: int,
    sources: Sources,
) -> str:
    """Return the passages that fit into `budget` tokens, and add them to `sources`."""
    if not file_ids or budget <= 0:
        return ""
    numbered = [
        Source(at, one.file_id, one.name, one.passage)
        for at, one in enumerate(_found(files, owner, question, file_ids, budget), start=1)
    ]
    kept = fit(numbered, count, budget)
    added = [sources.add(one.file_id, one.name, one.passage) for one in kept]
    return prompt_text(added) if added else ""


def fitting(sources: Sources, count: CountTokens, budget: int) -> str:
    """Return as many of the turn's own passages as fit into `budget` tokens."""
    return prompt_text(fit([*sources], count, budget))


def _found(
    files: Files, owner: Owner, question: str, file_ids: Sequence[str], budget: int
) -> Sequence[Found]:
    """Return small files whole, of others what answers the question, else their beginning."""
    beginning = files.beginning(owner, file_ids)
    if sum(len(found.passage.text) for found in beginning) < WHOLE_CHARACTERS * budget:
        return beginning
    return files.search(owner, question, file_ids=file_ids, limit=8) or beginning

"""However an answer ends, its tenant is charged what the engine made: not a token more or less."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import pytest

from puna.chat import Message
from puna.llm import LLM
from puna.llm.prepared import Prepared
from tests.postgres import Cluster
from tests.server.serving import MODEL, Served, served

CUTS = 100  # on each database; a thousand in the soak


class Witness:
    """Stands beside the engine and notes how much each answer has by now."""

    def __init__(self) -> None:
        self.said = 0

    def left(self, said: int) -> int:
        self.said = max(self.said, said)
        return 1000 - said

    def waits(self) -> bool:
        return False


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_an_answer_cut_anywhere_is_charged_as_the_engine_counted(
    request: pytest.FixtureRequest, tmp_path: Path, tiny_path: Path, database: str
) -> None:
    url = None
    if database == "postgresql":
        cluster: Cluster = request.getfixturevalue("cluster")
        url = cluster.url(cluster.create())
    check_cuts(url, tmp_path, tiny_path, CUTS)


def check_cuts(url: str | None, folder: Path, model: Path, cuts: int, seed: int = 20261124) -> None:
    """Cut so many answers, each at a random token, and look at each one's charge."""
    random = Random(seed)
    with served(folder, model, url=url) as server:
        loop = server.desk._loop
        for _ in range(cuts):
            witness = Witness()
            cut = cut_after(server, witness, random.randrange(1, 200), random.choice((0, 0.003)))
            asyncio.run_coroutine_threadsafe(cut, loop).result(20)
            entry = server.latest_charge()
            assert entry.completion_tokens == witness.said > 0
            assert entry.outcome == "disconnect"
        assert len(server.charged()) == cuts
        assert server.reserved() == 0


async def cut_after(server: Served, witness: Witness, deltas: int, pause_s: float) -> None:
    caller = server.services.keys.verify(server.other_key)
    job = await server.desk.begin(caller, MODEL, partial(prepare, witness))
    async for _, batch in job.batches():
        deltas -= len(batch)
        if deltas <= 0:
            await asyncio.sleep(pause_s)
            break
    await job.close("disconnect")


def prepare(witness: Witness, llm: LLM) -> list[Prepared]:
    prepared = llm.language.prepare([Message("user", "go on")], max_tokens=1000, ignore_eos=True)
    return [replace(prepared, request=replace(prepared.request, allowance=witness))]

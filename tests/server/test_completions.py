"""/v1/completions keeps the contract that evaluation harnesses rely on."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.server.serving import MODEL, Served


def ask(server: Served, status: int = 200, **body: Any) -> Any:
    answer = httpx2.post(
        f"{server.url}/v1/completions",
        json={"model": MODEL, **body},
        headers=server.headers(),
        timeout=60,
    )
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_harness_reads_the_logprobs_of_batched_token_prompts(server: Served) -> None:
    prompts = [[5, 6, 7, 8], [9, 10], [11, 12, 13]]
    harness = {"max_tokens": 1, "temperature": 0, "logprobs": 1, "echo": True, "seed": 1234}
    answer = ask(server, prompt=prompts, **harness)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    for prompt, choice in zip(prompts, answer["choices"], strict=True):
        logprobs = choice["logprobs"]
        assert len(logprobs["tokens"]) == len(prompt) + 1
        assert logprobs["token_logprobs"][0] is None
        for logprob, top in zip(
            logprobs["token_logprobs"][1:], logprobs["top_logprobs"][1:], strict=True
        ):
            assert logprob <= max(top.values()) <= 0
    assert answer["usage"]["prompt_tokens"] == 9
    alone = ask(server, prompt=prompts[1], **harness)
    assert alone["choices"][0]["logprobs"] == answer["choices"][1]["logprobs"]


def test_an_echo_without_an_answer_still_has_logprobs(server: Served) -> None:
    choice = ask(server, prompt=[5, 6, 7], max_tokens=0, logprobs=0, echo=True)["choices"][0]
    assert len(choice["logprobs"]["token_logprobs"]) == 3
    assert choice["logprobs"]["top_logprobs"] is None


def test_every_prompt_has_n_choices_in_order(server: Served) -> None:
    answer = ask(server, prompt=["one", "two"], n=2, best_of=3, max_tokens=3, echo=True)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert [choice["text"][:3] for choice in answer["choices"]] == ["one", "one", "two", "two"]
    assert all(choice["logprobs"] is None for choice in answer["choices"])


@pytest.mark.parametrize(
    "fault",
    [
        {"suffix": "end"},
        {"max_tokens": 0},
        {"n": 3, "best_of": 2},
        {"prompt": []},
        {"prompt": [10**6]},
        {"prompt": [[1], []]},
        {"logprobs": 10**6},
        {"logprobs": -1},
        {"logprobs": True},
        {"temperature": "1"},
        {"n": 10**6},
        {"max_tokens": 10**9},
        {"stop": ["x"] * 500},
        {"logit_bias": {"99999999": 1}},
        {"logit_bias": {str(i): 1 for i in range(100_000)}},
    ],
    ids=",".join,
)
def test_what_makes_no_sense_is_refused(server: Served, fault: dict[str, Any]) -> None:
    error = ask(server, 400, **{"prompt": "x", **fault})["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert error.keys() == {"message", "type", "param", "code"}


def test_tokens_go_there_and_back(server: Served) -> None:
    def post(path: str, **body: Any) -> Any:
        return httpx2.post(f"{server.url}{path}", json=body, headers=server.headers()).json()

    cut = post("/tokenize", content="hello there", model=MODEL)
    assert cut["count"] == len(cut["tokens"]) > 0
    assert post("/detokenize", tokens=cut["tokens"])["content"] == "hello there"
    dialog = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    counted = post("/v1/chat/completions/input_tokens", **dialog)["input_tokens"]
    answer = post("/v1/chat/completions", **dialog, max_tokens=1)
    assert answer["usage"]["prompt_tokens"] == counted

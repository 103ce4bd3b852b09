"""Ask a model from Python: `.venv/bin/python example.py`."""

from puna import LLM
from puna.chat import Message

with LLM("smollm2") as llm:
    print(llm.ask("Who wrote Hamlet?", temperature=0, max_tokens=64))

    story = [Message("user", "Tell me a story about a llama.")]
    for delta in llm.stream(story, max_tokens=128, seed=7):
        print(delta.text, end="", flush=True)

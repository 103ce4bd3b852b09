"""The process in which what strangers wrote is tried: templates, grammars.

In: requests on stdin, one JSON document each after four bytes of length.  Out:
{"text": ...} or {"error": ...} in the same frames.  Runs by its path, knows
nothing of Puna, and sees placeholders where messages have their contents.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper

_OPEN_FILES = 64

Service = Callable[[dict[str, Any]], dict[str, Any]]


class Generation(Extension):
    """`{% generation %}` marks what a model wrote, for training; here it is its body."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Drop the two tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def main() -> None:
    """Serve until stdin ends, or until a request takes more processor time than it may.

    The timer's signal ends the process in the middle of whatever it does.
    """
    limits = json.loads(sys.argv[1])
    serve: Service = {"template": _templates, "grammar": _grammars}[limits["kind"]](limits)
    _limit_resources(limits["memory_bytes"])
    _answer({"text": "ready"})
    while request := _next_request():
        signal.setitimer(signal.ITIMER_PROF, request.pop("cpu_s", limits["cpu_s"]))
        answer = serve(request)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _answer(answer)


def _grammars(limits: dict[str, Any]) -> Service:
    bounds = LLParserLimits(**limits["grammar"])
    tokenizer = LLTokenizer(TokenizerWrapper(_Bytes()), n_vocab=257, eos_token=256)

    def validate(request: dict[str, Any]) -> dict[str, Any]:
        """Compile as it will be: multiples of a million look small, and take 13 s and 370 MiB."""
        matcher = LLMatcher(tokenizer, request["source"], log_level=0, limits=bounds)
        matcher.compute_bitmask()
        faults = [matcher.get_error(), *matcher.get_grammar_warnings()]
        error = "\n".join(filter(None, faults))
        return {"error": error} if error else {"text": ""}

    return validate


class _Bytes:
    """A vocabulary of bytes, as llguidance asks for it."""

    tokens = [bytes([one]) for one in range(256)] + [b""]
    special_token_ids = [256]  # noqa: RUF012
    bos_token_id = None
    eos_token_id = 256

    def __call__(self, text: str | bytes) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


def _templates(limits: dict[str, Any]) -> Service:
    environment = _environment()

    def render(request: dict[str, Any]) -> dict[str, Any]:
        try:
            environment.filters["tojson"] = _tojson(request["mark"])
            template = environment.from_string(request["source"])
            pieces = template.generate(request["variables"])
            return {"text": _bounded(pieces, limits["output_characters"])}
        except MemoryError:
            return {"error": "it needs too much memory"}
        except RecursionError:
            return {"error": "it is nested too deeply"}
        except Exception as error:  # a template may raise whatever it likes
            return {"error": f"{type(error).__name__}: {error}"[:500]}

    return render


def _bounded(pieces: Any, longest: int) -> str:
    text: list[str] = []
    left = longest
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise TemplateError(f"it writes more than {longest} characters")
        text.append(piece)
    return "".join(text)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", Generation],
    )
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _tojson(mark: str) -> Callable[..., str]:
    """JSON as chat templates want it: nothing escaped for HTML, placeholders marked as quoted."""
    opened = re.compile(f"{re.escape(mark)}(?=[0-9])")

    def tojson(
        value: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        text = json.dumps(
            value,
            ensure_ascii=ensure_ascii,
            indent=indent,
            separators=separators,
            sort_keys=sort_keys,
        )
        return opened.sub(f"{mark}j", text)

    return tojson


def _limit_resources(memory_bytes: int) -> None:
    """Memory beyond what is mapped now, no file but those open, no core."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        mapped = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + memory_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _next_request() -> dict[str, Any] | None:
    length = sys.stdin.buffer.read(4)
    if len(length) < 4:
        return None
    request: dict[str, Any] = json.loads(sys.stdin.buffer.read(int.from_bytes(length, "big")))
    return request


def _answer(answer: dict[str, Any]) -> None:
    data = json.dumps(answer).encode()
    sys.stdout.buffer.write(len(data).to_bytes(4, "big") + data)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

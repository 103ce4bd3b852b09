"""Foreign templates: what they may write, how long and how much, and what they never see."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from puna.chat import Message, Tool, ToolCall
from puna.errors import TemplateError
from puna.text.jinja import LIMITS, LONGEST_SOURCE, JinjaTemplate
from puna.text.tokenizer import Tokenizer

Render = Callable[..., str]

CHILD_START_S = 5.0  # generous: other processes share the machine

LLAMA_2 = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'].strip() + ' [/INST]' }}{% else %}"
    "{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)


@pytest.fixture
def render(tiny_tokenizer: Tokenizer) -> Iterator[Render]:
    """Render a source with messages given by their contents: user, assistant, user …"""
    templates: list[JinjaTemplate] = []

    def run(source: str, *contents: str, tools: tuple[Tool, ...] = ()) -> str:
        templates.append(template := JinjaTemplate(source, tiny_tokenizer))
        messages = [
            Message("assistant" if index % 2 else "user", content)
            for index, content in enumerate(contents)
        ]
        return "".join(span.text for span in template.render(messages, tools))

    yield run
    for template in templates:
        template.close()


def test_contents_come_back_where_the_template_put_them(render: Render) -> None:
    expected = "<|begin_of_text|>[INST] Hi [/INST] Hello <|eot_id|> you<|eot_id|>"
    assert render(LLAMA_2, "Hi", "Hello <|eot_id|> you") == expected


def test_trim_takes_the_space_around_a_content(render: Render) -> None:
    assert render("[{{ messages[0].content | trim }}]", " \n a  b\t") == "[a  b]"
    assert render("[{{ messages[0].content }}]", " \n a  b\t") == "[ \n a  b\t]"
    assert render("[{{ messages[0].content.strip() }}]", "  ") == "[]"


def test_json_of_a_content_is_quoted_as_json(render: Render) -> None:
    assert render("{{ messages[0].content | tojson }}", 'a "b"\n<|x|>') == '"a \\"b\\"\\n<|x|>"'
    assert render("{{ {'x': messages[0].content} | tojson(indent=1) }}", "é") == '{\n "x": "é"\n}'


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ messages[0].content.split('</think>')[-1] }}", " <|eot_id|> done"),
        ("{{ messages[0].content.replace('hm', 'HM') }}", "HM</think> <|eot_id|> done"),
        ("{{ messages[0].content | upper }}", "HM</THINK> <|EOT_ID|> DONE"),
    ],
)
def test_a_template_may_look_into_an_answer(render: Render, source: str, expected: str) -> None:
    assert render(source.replace("[0]", "[1]", 1), "?", "hm</think> <|eot_id|> done") == expected


def test_a_user_cannot_write_the_mark_that_ends_a_models_thoughts(render: Render) -> None:
    source = "{{ messages[0].content.split('</think>')[-1] }}"
    assert render(source, "hm</think> done") == "hm</think> done"


def test_calls_and_tools_are_objects_as_openai_has_them(tiny_tokenizer: Tokenizer) -> None:
    source = (
        "{% for t in tools %}{{ t.function.name }}:"
        "{{ t.function.parameters | tojson }};{% endfor %}"
        "{% for c in messages[1].tool_calls %}{{ c.function.name }}"
        "{% for k, v in c.function.arguments | items %} {{ k }}={{ v }}{% endfor %}{% endfor %}"
    )
    template = JinjaTemplate(source, tiny_tokenizer)
    call = ToolCall("1", "add", '{"a": 1, "b": "<|eot_id|>"}')
    spans = template.render(
        [Message("user", "x"), Message("assistant", tool_calls=(call,))],
        [Tool("add", "", {"type": "object", "title": "<|eot_id|>"})],
    )
    template.close()
    text = "".join(span.text for span in spans)
    assert text == 'add:{"type": "object", "title": "<|eot_id|>"};add a=1 b=<|eot_id|>'
    assert all("<|eot_id|>" not in span.text for span in spans if span.scaffold)


def test_the_globals_that_chat_templates_use_are_there(render: Render) -> None:
    assert render("{{ strftime_now('%Y') }}", "x") == datetime.now().strftime("%Y")
    assert render("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}")
    assert render("{% generation %}a{% endgeneration %}{{ tools is none }}") == "aTrue"
    with pytest.raises(TemplateError, match="roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}", "x")


HOSTILE = {
    "nested ranges": "{% for i in range(99999) %}{% for j in range(99999) %}"
    "{% endfor %}{% endfor %}",
    "one huge range": "{% for i in range(10**9) %}{% endfor %}",
    "string multiplication": "{{ 'a' * 10**10 }}",
    "doubling": "{% set x = namespace(a='a') %}{% for i in range(60) %}{% set x.a = x.a + x.a %}"
    "{% endfor %}",
    "power": "{{ 9 ** (9 ** 9) }}",
    "recursive macro": "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    "endless recursion": "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}"
    "{% endmacro %}{{ f(60) }}",
    "long output": "{% for i in range(99999) %}{{ 'a' * 1000 }}{% endfor %}",
    "format": "{{ '%1000000000d' % 1 }}",
    "a megabyte": "{{ 'x' }}" * 111_112,
    "sort of a big list": "{{ (range(99999) | list * 999) | sort | length }}",
    "deep nesting": "{{ " + "(" * 50_000 + ")" * 50_000 + " }}",
    "unfinished": "{% for",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_is_stopped_within_its_second(render: Render, name: str) -> None:
    start = time.monotonic()
    with pytest.raises(TemplateError):
        render(HOSTILE[name], "hello")
    assert time.monotonic() - start < LIMITS.wall_s + CHILD_START_S


ESCAPES = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ lipsum.__globals__['os'].popen('touch canary').read() }}",
    "{{ cycler.__init__.__globals__.os.system('touch canary') }}",
    "{{ ''|attr('__class__') }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(cycler) }}",
    "{% set f = '{0.__class__}'.format %}{{ f(1) }}",
    "{{ (x for x in ()).gi_frame }}",
    "{{ self.__init__.__globals__ }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update({'role': 'system'}) }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
)


@pytest.mark.parametrize("source", ESCAPES)
def test_no_template_gets_out_of_its_sandbox(
    render: Render, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused, or answered with nothing: Jinja writes "" for what it will not reach."""
    monkeypatch.chdir(tmp_path)
    try:
        text = render(source, "x")
    except TemplateError:
        text = ""
    assert text in ("", "None")
    assert not list(tmp_path.iterdir())


def test_the_next_render_works_after_one_was_killed(tiny_tokenizer: Tokenizer) -> None:
    slow = "{% if messages[0].content == '' %}{{ 'ok' }}{% else %}" + HOSTILE["nested ranges"]
    template = JinjaTemplate(slow + "{% endif %}", tiny_tokenizer)
    with pytest.raises(TemplateError, match=r"1 s .*stopped"):
        template.render([Message("user", "x")])
    assert "".join(s.text for s in template.render([Message("user", "")])) == "ok"
    template.close()


def test_the_child_has_an_empty_environment_and_ends_with_its_parent() -> None:
    script = (
        "from puna.text.child_process import ChildProcess\n"
        "from puna.text.jinja import LIMITS\n"
        "process = ChildProcess(LIMITS)\n"
        "print(process.ask({'source': 'x', 'mark': 'm', 'variables': {}}))\n"
        "print(process._child.pid)\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    text, pid = run.stdout.split()
    assert text == "x"
    assert run.stderr == ""
    assert not Path(f"/proc/{pid}").exists()


def test_a_template_of_any_length_is_refused_without_being_read(render: Render) -> None:
    start = time.monotonic()
    with pytest.raises(TemplateError, match="characters, more than"):
        render("x" * (LONGEST_SOURCE + 1))
    assert time.monotonic() - start < LIMITS.wall_s

"""`puna chat` through a real `puna serve`: the conversations, presets and files of the page."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from puna.accounts import Keys, Store, Users
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.owner import Owner
from tests.cli.screen import CTRL_C, Screen
from tests.cli.serving import (
    OWNER,
    STEADY,
    Server,
    chatting,
    new_home,
    piped,
    serving,
    variables,
    words,
)
from tests.cli.test_chat import STORY

pytestmark = pytest.mark.default_model

CHAT_BYTES = 150 * 2**20  # of memory, without a model; the default one takes three times that
TOOL = {
    "id": "call_1",
    "name": "calculate",
    "label": "Calculator",
    "arguments": '{"expression": "17*23"}',
    "result": "391",
    "outcome": "done",
    "took_s": 0.1,
}
SOURCE = {
    "number": 1,
    "file_id": "fil_1",
    "name": "notes.txt",
    "where": "line 2",
    "quote": "Frogs.",
}
HOSTILE = "red\x1b]0;taken\x07 \x1b[2J\x9b31mtext"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("through") / "home") as running:
        yield running


def test_a_question_is_answered_by_the_server_and_kept_there(server: Server) -> None:
    with chatting(server.home, *STEADY) as chat:
        assert f"smollm2 through the server at {server.url}, as Ana" in chat.greeting
        began = time.monotonic()
        chat.enter("Who wrote Hamlet?", then=".")
        first_word_s = time.monotonic() - began
        memory = _resident_bytes(chat.screen.process.pid)
        chat.wait()
        shown = chat.screen.text
    kept = server.latest()
    assert (kept["title"], kept["messages"][0]["text"]) == ("Who wrote Hamlet?",) * 2
    assert " ".join(words(kept["messages"][1]["text"])) in " ".join(words(shown))
    assert first_word_s < 3.0  # 0.2 s on a quiet machine; this one tests other things meanwhile
    assert memory < CHAT_BYTES


def _resident_bytes(process: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found
    return int(found[1]) * 1024


def test_ctrl_c_stops_and_what_was_shown_is_what_is_kept(server: Server) -> None:
    with chatting(server.home, "--temperature", "0") as chat:
        chat.enter(STORY, then=".{60}")
        chat.screen.press(CTRL_C)
        chat.at = chat.screen.wait_for("stopped\n\n▷", after=chat.at)
        shown = chat.screen.text.replace("^C", "")
    answer = server.latest()["messages"][-1]
    assert answer["outcome"] == "stopped"
    assert " ".join(words(answer["text"])) in " ".join(words(shown))


def test_the_last_conversation_goes_on_and_what_is_said_elsewhere_is_shown(server: Server) -> None:
    with server.api() as api, chatting(server.home, *STEADY) as chat:
        chat.enter("Name a colour.")
        conversation = server.latest()["id"]
        body = {
            "text": "Name an animal.",
            "conversation": conversation,
            "parameters": {"max_tokens": 4},
        }
        assert api.post("/turns", json=body).status_code == 200
        shown = chat.enter("Name a tree.")
        assert re.search("said elsewhere meanwhile:\n> Name an animal", shown)
        with chatting(server.home, "--continue", *STEADY) as later:
            assert "Name a colour." in later.greeting
            later.enter("And a bird.")
            asked = [one["text"] for one in server.latest()["messages"] if one["role"] == "user"]
            assert asked == ["Name a colour.", "Name an animal.", "Name a tree.", "And a bird."]
            assert api.delete(f"/conversations/{conversation}").status_code == 204
            later.enter("Now what?", "this conversation was deleted elsewhere")
    assert server.latest()["title"] == "Now what?"


def test_an_answer_that_is_being_given_is_heard_and_stopped(server: Server) -> None:
    with server.api() as api:
        body = {"text": STORY, "parameters": {"temperature": 0}}
        with api.stream("POST", "/turns", json=body) as running:
            lines = running.iter_lines()
            begin = json.loads(next(lines))
            arguments = ("chat", "--continue")
            with Screen(*arguments, environment=variables(server.home)) as screen:
                heard = screen.wait_for(r"Ask away.*Andes.*\n.{80}")
                screen.press(CTRL_C)
                screen.wait_for(r"stopped\n", after=heard)
            events = [json.loads(line) for line in lines]
    assert begin["conversation"]["id"] == server.latest()["id"]
    assert events[-2]["path"][-1]["outcome"] == "stopped"


def test_commands_on_conversations(server: Server, tmp_path: Path) -> None:
    with chatting(server.home, *STEADY) as chat:
        chat.enter("/rename Nothing", "puna: error: nothing has been said yet")
        chat.enter("The heron stands in the reeds.")
        chat.enter("/rename Herons", "this is “Herons” now")
        assert server.latest()["title"] == "Herons"
        assert "  1  Herons  (this one)" in chat.enter("/conversations")
        assert "heron stands" in chat.enter("/conversations heron ree")
        chat.enter(f"/export {tmp_path / 'talk.md'}", "wrote “Herons”")
        chat.enter(f"/export {tmp_path / 'talk.md'}", "wrote “Herons” to .*talk-2.md")
        chat.enter(f"/export {tmp_path / 'talk.json'}", "wrote “Herons”")
        chat.enter("/export talk.txt", "where?")
        chat.enter("/again")
        assert len(server.latest()["messages"][-1]["siblings"]) == 2
        assert "> The heron stands in the reeds." in chat.enter("/history")
        chat.enter("/new", "your next question begins")
        chat.enter("Another one.")
        assert server.latest()["title"] == "Another one."
        chat.enter("/conversations", ".*2  Herons")
        assert "> The heron" in chat.enter("/open 2", "Herons")
        chat.enter("/open 99", "puna: error: which one")
        chat.enter("/delete", "this deletes “Herons” for good")
        chat.enter("/delete yes", "deleted")
        chat.enter("/conversations heron ree", "there are none")
        chat.enter("/sistem", r"there is no /sistem; did you mean /system\?")
    assert "The heron stands" in (tmp_path / "talk.md").read_text()
    assert json.loads((tmp_path / "talk.json").read_text())["title"] == "Herons"


def test_a_cut_answer_goes_on(server: Server) -> None:
    with chatting(server.home, "--temperature", "0", "--max-tokens", "6") as chat:
        chat.enter("/continue", "puna: error: nothing has been said yet")
        chat.enter(STORY, ".*stopped after 6 tokens; /continue goes on")
        [_, first] = server.latest()["messages"]
        chat.enter("/continue", ".*stopped after 12 tokens; /continue goes on")
        [_, answer] = server.latest()["messages"]
    assert (answer["id"], answer["siblings"]) == (first["id"], [first["id"]])
    assert answer["text"].startswith(first["text"])


def test_presets_models_memory_and_files(server: Server, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("The heron nests in March.\n")
    with chatting(server.home, *STEADY) as chat:
        assert "* Puna" in chat.enter("/preset")
        chat.enter("/preset transl", "going on as Translator")
        chat.enter("/preset nobody", "puna: error: there is no such preset")
        assert "* smollm2" in chat.enter("/model", ".*8,192 tokens of context")
        chat.enter("/model smollm2", "going on with smollm2")
        assert "Calculator" in chat.enter("/tools")
        chat.enter("/plan", "No limit")
        chat.enter("/memory add I like herons.", "remembered: I like herons.")
        assert "1  I like herons." in chat.enter("/memory")
        chat.enter("/memory off", "the memory is off")
        chat.enter("/memory on", "the memory is on")
        chat.enter("/memory forget 1", "forgotten: I like herons.")
        chat.enter("/attach /nowhere.txt", "puna: error: .*No such file")
        chat.enter(f"/attach {notes}", r"notes.txt \(26 bytes, 5 words\) goes with")
        chat.enter("When does it nest?")
    kept = server.latest()
    assert kept["preset"] == "translator"
    assert [file["name"] for file in kept["messages"][0]["files"]] == ["notes.txt"]


def test_what_the_server_calls_itself_is_said_to_it(server: Server) -> None:
    with chatting(server.home, *STEADY) as chat:
        shown = chat.enter("/calc 12 * 7", r".*→ 12 \* 7 = 84")
    assert "there is no" not in shown
    assert server.latest()["messages"][0]["text"] == "/calc 12 * 7"


def test_instructions_of_the_command_line_hold_for_this_chat_alone(server: Server) -> None:
    told = piped(server.home, "Hello!", "--system", "You speak Spanish alone.", *STEADY).stdout
    assert told != piped(server.home, "Hello!", *STEADY).stdout
    assert server.latest()["messages"][0]["text"] == "Hello!"  # they are kept nowhere


def test_a_pipe_gets_the_answer_alone_and_can_go_on(server: Server) -> None:
    first = piped(server.home, "Who wrote Hamlet?", *STEADY)
    assert (first.returncode, first.stdout.count("\n")) == (0, 1)
    assert first.stdout.strip() == server.latest()["messages"][-1]["text"]
    assert piped(server.home, "And Faust?", "--continue", *STEADY).returncode == 0
    assert len(server.latest()["messages"]) == 4


def test_tools_sources_and_hostile_texts_are_shown_as_text(server: Server) -> None:
    store = Store.open(f"sqlite:///{server.home / 'puna.db'}")
    assistant = Assistant(store)
    owner = _ana(store)
    talk = assistant.conversations.create(owner, title=f"About {HOSTILE}")
    said = assistant.messages.say(owner, talk.id, None, f"What is {HOSTILE}?")
    answer = assistant.messages.open_answer(owner, talk.id, said.id, model="smollm2")
    steps: list[dict[str, Any]] = [{"text": "", "calls": [TOOL]}, {"text": HOSTILE, "calls": []}]
    assistant.messages.finish(
        owner, answer.id, "complete", f"It is {HOSTILE} [1]", steps=steps, sources=[SOURCE]
    )
    store.close()
    with chatting(server.home, "--continue") as chat:
        shown = chat.greeting
    assert "Calculator(17*23) → 391" in shown
    assert "[1] notes.txt, line 2: “Frogs.”" in shown
    assert "It is red]0;taken [2J31mtext [1]" in shown
    for sequence in ("\x1b]0;", "\x1b[2J", "\x9b"):
        assert sequence not in chat.screen.raw


def _ana(store: Store) -> Owner:
    ana = Users(store).get(OWNER["email"])
    return Owner(ana.tenant_id, ana.id)


def test_a_named_server_wants_a_persons_key_which_stays_secret(
    server: Server, tmp_path: Path
) -> None:
    elsewhere = new_home(tmp_path / "elsewhere")
    store = Store.open(f"sqlite:///{server.home / 'puna.db'}")
    secret = Keys(store).create("laptop", user=OWNER["email"]).secret
    nobodys = Keys(store).create("door").secret
    store.close()
    named = ("--server", server.url)
    refused = piped(elsewhere, "Hello!", *named)
    assert (refused.returncode, "PUNA_API_KEY" in refused.stderr) == (1, True)
    refused = piped(elsewhere, "Hello!", *named, PUNA_API_KEY=nobodys)
    assert (refused.returncode, "puna keys create NAME --user" in refused.stderr) == (1, True)
    refused = piped(elsewhere, "Hello!", PUNA_SERVER=server.url, PUNA_API_KEY="puna_sk_x")
    assert (refused.returncode, "not valid" in refused.stderr) == (1, True)
    near_by = piped(
        server.home, "Hello!", "--server", server.url.replace("127.0.0.1", "localhost"), *STEADY
    )
    assert near_by.returncode == 0, near_by.stderr
    with chatting(elsewhere, *named, *STEADY, PUNA_API_KEY=secret) as chat:
        arguments = Path(f"/proc/{chat.screen.process.pid}/cmdline").read_text()
        chat.enter("Said from elsewhere.")
    assert server.latest()["title"] == "Said from elsewhere."
    near = (server.home / "server.json").read_text()
    for hidden in (secret, json.loads(near)["key"]):
        assert hidden not in chat.screen.text + arguments
        assert hidden not in server.process.log.read_text() + server.process.said.read_text()


def test_local_loads_a_model_beside_the_server(server: Server) -> None:
    before = server.latest()["id"]
    with chatting(server.home, "--local", *STEADY) as chat:
        assert "This is smollm2, loaded here: --local." in chat.greeting
        chat.enter("Hello!")
    assert server.latest()["id"] == before


def test_without_a_server_a_model_is_loaded(tmp_path: Path) -> None:
    home = new_home(tmp_path / "home")
    with chatting(home, *STEADY) as chat:
        assert "This is smollm2, loaded here: no server runs." in chat.greeting
    refused = piped(home, "Hello!", "--continue")
    assert (refused.returncode, "--continue needs a server" in refused.stderr) == (1, True)
    refused = piped(home, "Hello!", "--server", "http://127.0.0.1:9", PUNA_API_KEY="x")
    assert (refused.returncode, "does not answer" in refused.stderr) == (1, True)
    refused = piped(home, "Hello!", "--server", "nonsense")
    assert (refused.returncode, "http://HOST:PORT" in refused.stderr) == (1, True)


def test_a_chat_outlives_its_server(tmp_path: Path) -> None:
    """It ends, starts again elsewhere with another key, and the conversation goes on."""
    server = Server(new_home(tmp_path / "home"))
    try:
        with chatting(server.home, "--max-tokens", "4") as alone:
            assert "no owner yet" in alone.greeting
        server.make_owner()
        with chatting(server.home, *STEADY) as chat:
            chat.enter("One.")
            server.end()
            assert not (server.home / "server.json").exists()
            chat.enter("Two.", "puna: error: the server has ended")
            server = Server(server.home)
            chat.enter("Three.")
        asked = [one["text"] for one in server.latest()["messages"] if one["role"] == "user"]
        assert asked == ["One.", "Three."]
    finally:
        server.process.kill()

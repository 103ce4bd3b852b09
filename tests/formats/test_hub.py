"""Pulling from a hub: a real client against a real server that misbehaves on purpose."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from puna.errors import (
    DownloadError,
    GatedModelError,
    HashMismatchError,
    ModelNotFoundError,
    UnsupportedModelError,
)
from puna.formats.checkpoint import open_checkpoint
from puna.formats.hub import Hub, is_safe_name
from puna.formats.pull import pull_from_hub
from puna.formats.reference import HubReference
from puna.formats.store import ModelStore
from tests.hub_server import HubServer
from tests.tiny import TinyLlama

REPO = "org/Tiny-Llama-GGUF"
TOKEN = "hf_secret"


def reference(name: str) -> HubReference:
    parsed = HubReference.parse(name)
    assert parsed is not None
    return parsed


def pull_from(server: HubServer, store: ModelStore, name: str = REPO) -> Path:
    return pull_from_hub(reference(name), store, Hub(server.url, TOKEN, first_pause_s=0.01))


@pytest.fixture(autouse=True)
def _own_session() -> Iterator[None]:
    """The client keeps connections open between tests; they end with the server."""
    yield
    huggingface_hub.close_session()


@pytest.fixture(scope="module")
def gguf(tiny_gguf: Path) -> bytes:
    return tiny_gguf.read_bytes()


@pytest.fixture
def server(gguf: bytes) -> Iterator[HubServer]:
    files = {
        "README.md": b"a model",
        "Tiny-Q8_0.gguf": gguf,
        "pytorch_model.bin": b"\x80\x02" * 999,
    }
    with HubServer({REPO: files}) as server:
        yield server


def folder_of(server: HubServer, repo: str, folder: Path) -> dict[str, bytes]:
    """Offer everything under `folder` as a repository."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    server.repos[repo] = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    return server.repos[repo]


def test_a_gguf_file_arrives_opens_and_is_found_by_its_names(
    server: HubServer, store: ModelStore
) -> None:
    path = pull_from(server, store)
    assert path == store.folder / "org--Tiny-Llama-GGUF" / "Tiny-Q8_0.gguf"
    open_checkpoint(path).close()
    for name in (f"hf:{REPO}", REPO, f"hf:{REPO}:Q8_0", f"{REPO}:q8_0", f"hf:{REPO}:{path.name}"):
        assert store.find(name) == path
    assert [model.name for model in store.models()] == [f"hf:{REPO}:Q8_0"]


def test_nothing_but_the_model_is_fetched_and_a_second_pull_fetches_nothing(
    server: HubServer, store: ModelStore
) -> None:
    path = pull_from(server, store)
    assert [file for file in store.folder.rglob("*") if file.is_file()] == [path]
    fetched = len(server.storage_requests)
    assert pull_from(server, store) == path
    assert len(server.storage_requests) == fetched == 1


def test_a_damaged_file_in_the_store_is_fetched_again(server: HubServer, store: ModelStore) -> None:
    path = pull_from(server, store)
    sound = path.read_bytes()
    path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    assert pull_from(server, store).read_bytes() == sound


def test_progress_counts_to_the_total(server: HubServer, store: ModelStore, gguf: bytes) -> None:
    seen: list[tuple[int, int | None]] = []
    pull_from_hub(
        reference(REPO), store, Hub(server.url), lambda done, total: seen.append((done, total))
    )
    assert seen == sorted(seen)
    assert seen[-1] == (len(gguf), len(gguf))


def test_the_token_reaches_the_hub_and_no_other_host(server: HubServer, store: ModelStore) -> None:
    pull_from(server, store)
    assert {seen.headers.get("authorization") for seen in server.hub_requests} == {
        f"Bearer {TOKEN}"
    }
    assert server.storage_requests
    assert all(TOKEN not in str(seen.headers) + seen.path for seen in server.storage_requests)


def test_a_transfer_cut_at_any_of_fifty_places_goes_on_from_there(
    server: HubServer, store: ModelStore, gguf: bytes
) -> None:
    random_cut = random.Random(1)
    for _ in range(50):
        cut = random_cut.randrange(1, len(gguf))
        server.cuts.append(cut)
        server.storage_requests.clear()
        path = pull_from(server, store)
        assert path.read_bytes() == gguf
        asked = [seen.headers["range"] for seen in server.storage_requests]
        assert asked == ["bytes=0-", f"bytes={cut}-"]
        store.remove(REPO)


def test_a_pull_that_gives_up_shows_no_model_and_the_next_one_resumes(
    server: HubServer, store: ModelStore, gguf: bytes
) -> None:
    half = len(gguf) // 2
    server.cuts.append(half)
    server.cuts.extend([0] * 5)
    with pytest.raises(DownloadError, match="pull again to go on from there"):
        pull_from(server, store)
    assert store.models() == []
    with pytest.raises(ModelNotFoundError):
        store.find(REPO)
    server.storage_requests.clear()
    assert pull_from(server, store).read_bytes() == gguf
    assert server.storage_requests[0].headers["range"] == f"bytes={half}-"


def test_a_server_without_ranges_is_read_from_the_start(
    server: HubServer, store: ModelStore, gguf: bytes
) -> None:
    server.ranges = False
    server.cuts.append(len(gguf) // 2)
    assert pull_from(server, store).read_bytes() == gguf


def test_passing_server_trouble_is_waited_out(server: HubServer, store: ModelStore) -> None:
    server.broken.extend([503, 429])
    pull_from(server, store)


@pytest.mark.parametrize("fault", ["wrong bytes", "too many bytes", "compressed"])
def test_bytes_that_are_not_the_promised_ones_never_become_a_model(
    server: HubServer, store: ModelStore, gguf: bytes, fault: str
) -> None:
    if fault == "wrong bytes":
        server.digests["Tiny-Q8_0.gguf"] = "0" * 64
        expected: type[DownloadError] = HashMismatchError
    else:
        server.endless = fault == "too many bytes"
        server.compressed = fault == "compressed"
        expected = DownloadError
    with pytest.raises(expected):
        pull_from(server, store)
    assert store.models() == []
    kept = [file.stat().st_size for file in store.folder.rglob("*") if file.is_file()]
    assert sum(kept) <= len(gguf)


@pytest.mark.parametrize("digest", ["../../../evil", "/tmp/evil", "0" * 63, "0" * 63 + "/", ""])
def test_a_digest_that_is_no_digest_is_refused(
    server: HubServer, store: ModelStore, digest: str
) -> None:
    server.digests["Tiny-Q8_0.gguf"] = digest
    with pytest.raises(DownloadError, match="digest"):
        pull_from(server, store)
    assert not store.folder.exists()


@pytest.mark.parametrize(
    "name",
    [
        "../evil.gguf",
        "/tmp/evil.gguf",
        "a/../../evil.gguf",
        "a//b.gguf",
        ".hidden.gguf",
        "a\\b.gguf",
    ],
)
def test_a_file_name_that_would_leave_the_folder_is_refused(
    server: HubServer, store: ModelStore, gguf: bytes, name: str
) -> None:
    server.repos[REPO][name] = gguf
    with pytest.raises(DownloadError, match="not a plain name"):
        pull_from(server, store)
    assert not store.folder.exists()
    assert not is_safe_name(name)


def test_a_gated_model_says_how_to_get_it(server: HubServer, store: ModelStore) -> None:
    server.gated.add(REPO)
    with pytest.raises(GatedModelError, match=r"licence.*HF_TOKEN"):
        pull_from(server, store)


def test_an_unknown_repository_is_not_found(server: HubServer, store: ModelStore) -> None:
    with pytest.raises(ModelNotFoundError, match="check the name"):
        pull_from(server, store, "org/nothing")


def test_a_hub_that_is_not_there_is_a_download_error(store: ModelStore) -> None:
    with pytest.raises(DownloadError, match="cannot be reached"):
        pull_from_hub(reference(REPO), store, Hub("http://127.0.0.1:9"))


def test_several_quantisations_ask_for_one(server: HubServer, store: ModelStore) -> None:
    server.repos[REPO]["Tiny-Q4_K_M.gguf"] = b"GGUF" * 500
    with pytest.raises(ModelNotFoundError, match=r"several models.*Q4_K_M, Q8_0"):
        pull_from(server, store)
    with pytest.raises(ModelNotFoundError, match=r"no 'Q2_K'.*Q4_K_M, Q8_0"):
        pull_from(server, store, f"hf:{REPO}:Q2_K")
    assert pull_from(server, store, f"hf:{REPO}:q8_0").name == "Tiny-Q8_0.gguf"
    assert pull_from(server, store, f"hf:{REPO}:Tiny-Q4_K_M.gguf").name == "Tiny-Q4_K_M.gguf"
    with pytest.raises(ModelNotFoundError, match="may mean several"):
        store.find(REPO)
    assert store.find(f"{REPO}:Q4_K_M").name == "Tiny-Q4_K_M.gguf"


def test_all_shards_of_a_gguf_come_and_none_shows_before_the_last(
    server: HubServer, store: ModelStore, tiny: TinyLlama, tmp_path: Path
) -> None:
    tiny.write_gguf(tmp_path / "up" / "sub" / "Big-F16.gguf", "F16", shards=3)
    folder_of(server, "org/big", tmp_path / "up")
    path = pull_from(server, store, "hf:org/big:F16")
    with open_checkpoint(path) as checkpoint:
        assert len(checkpoint.tensors) == len(tiny.gguf_tensors)
    model = store.get("org/big")
    assert len(model.files) == 3
    model.files[2].unlink()
    assert store.models() == []


def test_a_safetensors_folder_comes_with_its_tokenizer_and_without_pickles(
    server: HubServer, store: ModelStore, tiny: TinyLlama, tmp_path: Path
) -> None:
    files = folder_of(server, "org/hf", tiny.write_safetensors(tmp_path / "up", shards=2))
    files |= {"pytorch_model.bin": b"\x80\x02" * 999, "modeling_evil.py": b"import os\n"}
    path = pull_from(server, store, "hf:org/hf")
    assert path == store.find("org/hf") == store.folder / "org--hf"
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.tensors.keys() == tiny.tensors.keys()
        assert "tokenizer.json" in checkpoint.files
    assert not {file.suffix for file in path.iterdir()} - {".json", ".safetensors"}


def test_a_small_file_with_another_hash_is_refused_too(
    server: HubServer, store: ModelStore, tiny: TinyLlama, tmp_path: Path
) -> None:
    """The hub states git's SHA-1 for what is not in LFS, such as generation_config.json."""
    folder_of(server, "org/hf", tiny.write_safetensors(tmp_path / "up"))
    server.digests["generation_config.json"] = "0" * 40
    with pytest.raises(HashMismatchError, match="generation_config"):
        pull_from(server, store, "hf:org/hf")
    assert store.models() == []


def test_a_repository_of_pickles_is_refused_by_name(server: HubServer, store: ModelStore) -> None:
    del server.repos[REPO]["Tiny-Q8_0.gguf"]
    with pytest.raises(UnsupportedModelError, match="pickled"):
        pull_from(server, store)
    assert server.storage_requests == []


def test_two_pulls_of_one_file_do_not_write_into_each_other(
    server: HubServer, store: ModelStore, tmp_path: Path
) -> None:
    source = Hub(server.url)
    file = next(file for file in source.files(REPO) if file.name.endswith(".gguf"))
    trouble: list[str] = []

    def second_pull(done: int, total: int | None) -> None:
        with pytest.raises(DownloadError, match="another process") as caught:
            source.fetch(file, tmp_path / "part", lambda done, total: None)
        trouble.append(str(caught.value))

    source.fetch(file, tmp_path / "part", second_pull)
    assert trouble


def test_the_endpoint_and_token_of_the_environment_are_used(
    server: HubServer, tmp_path: Path
) -> None:
    script = (
        "import sys; from pathlib import Path; from puna.formats.pull import pull;"
        "from puna.formats.store import ModelStore;"
        f"print(pull('hf:{REPO}', ModelStore(Path(sys.argv[1]))))"
    )
    environment = {**os.environ, "HF_ENDPOINT": server.url, "HF_TOKEN": TOKEN}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).name == "Tiny-Q8_0.gguf"
    assert server.hub_requests[-1].headers["authorization"] == f"Bearer {TOKEN}"

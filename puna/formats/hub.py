"""The hub of models: huggingface.co, or what HF_ENDPOINT names.

In: a repository.  Out: what files it has, with their hashes, and their bytes,
resumed where they broke off and checked.  Does not know where files are kept.

Names, sizes and hashes come from a stranger: names that would leave the
repository's folder are refused, and no byte counts before its hash is right.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import httpx2
from huggingface_hub import HfApi, constants, get_session, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, but not marked as re-exported
    build_hf_headers,
    hf_raise_for_status,
)

from puna.errors import DownloadError, GatedModelError, HashMismatchError, ModelNotFoundError
from puna.formats.progress import Progress

PIECE_BYTES: Final = 1 << 20
MAX_ATTEMPTS: Final = 5  # in a row that bring no byte
PASSING_STATUS: Final = {408, 429, 500, 502, 503, 504}
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SHA1: Final = re.compile(r"[0-9a-f]{40}")
_SAFE_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 ._+=,@()-]*")


@dataclass(frozen=True)
class HubFile:
    """A file at one commit; `digest` is its SHA-256, or for a small file git's SHA-1."""

    repo_id: str
    commit: str
    name: str
    size: int
    digest: str

    def is_at(self, path: Path) -> bool:
        """Whether `path` holds exactly this file."""
        return path.is_file() and path.stat().st_size == self.size and self.hashes(path)

    def hashes(self, path: Path) -> bool:
        """Whether the bytes at `path` have this file's digest."""
        with path.open("rb") as file:
            if len(self.digest) == 64:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.digest
            blob = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
            while piece := file.read(PIECE_BYTES):
                blob.update(piece)
            return blob.hexdigest() == self.digest


class Hub:
    """`endpoint` and `token` are huggingface_hub's own unless given.

    After an attempt that brought nothing, the next one waits `first_pause_s`,
    then twice as long, and so on.
    """

    def __init__(
        self, endpoint: str | None = None, token: str | None = None, *, first_pause_s: float = 0.5
    ) -> None:
        self.endpoint = endpoint or constants.ENDPOINT
        self.token = token
        self.first_pause_s = first_pause_s

    def files(self, repo_id: str) -> list[HubFile]:
        """What the newest commit of a repository holds, in one request.

        Raises ModelNotFoundError, GatedModelError, or DownloadError if the hub
        cannot be reached or names a file that no folder should hold.
        """
        with self._named_errors(repo_id):
            api = HfApi(endpoint=self.endpoint, token=self.token)
            info = api.model_info(repo_id, files_metadata=True, timeout=_timeout_s())
        commit = info.sha or ""
        if not _SHA1.fullmatch(commit):
            raise DownloadError(f"{repo_id}: the hub names no commit; pull again later")
        return [_checked_file(repo_id, commit, sibling) for sibling in info.siblings or ()]

    def fetch(self, file: HubFile, target: Path, progress: Progress) -> None:
        """Bring `target`, which may hold the file's first bytes, to the whole file.

        Raises DownloadError, after which `target` can be resumed, or
        HashMismatchError, after which it is gone.
        """
        with target.open("ab") as output, _held(output, file):
            self._resume_until_whole(file, output, progress)
        if not file.hashes(target):
            target.unlink()
            raise HashMismatchError(
                f"{file.repo_id}/{file.name}: the bytes that came do not have the hash that the "
                "hub states; they were discarded, pull again"
            )

    def _resume_until_whole(self, file: HubFile, output: IO[bytes], progress: Progress) -> None:
        failures = 0
        while output.tell() < file.size:
            before = output.tell()
            trouble = self._try(file, output, progress)
            failures = failures + 1 if output.tell() == before else 0
            if failures == MAX_ATTEMPTS:
                raise DownloadError(
                    f"{file.repo_id}/{file.name}: broke off after {before:,} of {file.size:,} "
                    f"bytes{trouble}; pull again to go on from there"
                )
            if failures:
                time.sleep(self.first_pause_s * 2 ** (failures - 1))

    def _try(self, file: HubFile, output: IO[bytes], progress: Progress) -> str:
        """One request; returns what broke it off, if anything did."""
        try:
            with self._named_errors(file.repo_id), self._answer(file, output.tell()) as response:
                _append(response, file, output, progress)
        except _BrokenOffError as error:
            return f": {error}"
        return ""

    @contextmanager
    def _answer(self, file: HubFile, start: int) -> Iterator[httpx2.Response]:
        """The bytes from `start` on; the client drops the token when sent to another host."""
        url = hf_hub_url(file.repo_id, file.name, revision=file.commit, endpoint=self.endpoint)
        headers = build_hf_headers(token=self.token)
        headers |= {"Accept-Encoding": "identity", "Range": f"bytes={start}-"}
        with get_session().stream("GET", url, headers=headers, timeout=_timeout_s()) as response:
            hf_raise_for_status(response)
            yield response

    @contextmanager
    def _named_errors(self, repo_id: str) -> Iterator[None]:
        try:
            yield
        except GatedRepoError as error:
            raise GatedModelError(
                f"{repo_id}: its owner wants a licence accepted: do so at "
                f"{self.endpoint}/{repo_id}, then give your token with `hf auth login` or HF_TOKEN"
            ) from error
        except (RepositoryNotFoundError, HFValidationError) as error:
            raise ModelNotFoundError(
                f"{repo_id}: {self.endpoint} shows no such model; check the name, and if it is "
                "private give a token with `hf auth login` or HF_TOKEN"
            ) from error
        except OfflineModeIsEnabled as error:
            raise DownloadError(f"{repo_id}: HF_HUB_OFFLINE forbids to fetch it") from error
        except HfHubHTTPError as error:
            passing = error.response.status_code in PASSING_STATUS
            kind = _BrokenOffError if passing else DownloadError
            raise kind(f"{repo_id}: {self.endpoint} answers: {error}") from error
        except httpx2.HTTPError as error:
            why = str(error) or type(error).__name__
            raise _BrokenOffError(
                f"{self.endpoint} cannot be reached: {why}; check the network or the proxy"
            ) from error


class _BrokenOffError(DownloadError):
    """Trouble that may be over at the next attempt."""


def _checked_file(repo_id: str, commit: str, sibling: RepoSibling) -> HubFile:
    name, size = sibling.rfilename, sibling.size
    digest = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id or ""
    form = _SHA256 if sibling.lfs else _SHA1
    if not is_safe_name(name) or not isinstance(size, int) or size < 0:
        raise DownloadError(
            f"{repo_id}: the hub lists the file {name!r}, which is not a plain name"
        )
    if not form.fullmatch(digest):
        raise DownloadError(f"{repo_id}: the hub gives {name!r} the digest {digest[:80]!r}")
    return HubFile(repo_id, commit, name, size, digest)


def is_safe_name(name: str) -> bool:
    """Whether a path from the hub stays inside the folder that it is put into."""
    parts = name.split("/")
    return len(name) < 200 and all(_SAFE_PART.fullmatch(part) for part in parts)


def _append(
    response: httpx2.Response, file: HubFile, output: IO[bytes], progress: Progress
) -> None:
    """Write what comes behind what is there, and never more than the file may hold."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise DownloadError(f"{file.name}: came compressed, though plain bytes were asked for")
    if response.status_code != httpx2.codes.PARTIAL_CONTENT:
        _empty(output)
    for piece in response.iter_raw():
        if output.tell() + len(piece) > file.size:
            _empty(output)
            raise DownloadError(f"{file.name}: is longer than the {file.size:,} bytes promised")
        output.write(piece)
        progress(output.tell(), file.size)


def _empty(output: IO[bytes]) -> None:
    output.seek(0)
    output.truncate()


@contextmanager
def _held(output: IO[bytes], file: HubFile) -> Iterator[None]:
    """Two pulls of one file at a time would write into each other."""
    try:
        fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DownloadError(f"{file.name}: is being pulled by another process; wait") from error
    yield


def _timeout_s() -> int:
    return constants.HF_HUB_DOWNLOAD_TIMEOUT

"""The page's files: each under a path that names the hash of them all, compressed, kept for a year.

Takes the folder `static`; gives addresses and responses.  The hash stands in
the folder's place, so that files name one another by relative paths.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
COMPRESSED = {".css", ".js", ".svg"}
FOREVER = "public, max-age=31536000, immutable"


@cache
def version() -> str:
    """Sixteen hex digits that change when any file does."""
    digest = hashlib.sha256()
    for path in sorted(_paths()):
        digest.update(path.encode() + b"\0" + (FOLDER / path).read_bytes())
    return digest.hexdigest()[:16]


def address(path: str) -> str:
    """Where the browser finds `path`; KeyError for a file that does not exist."""
    if path not in _paths():
        raise KeyError(path)
    return f"/static/{version()}/{path}"


async def static_file(request: Request) -> Response:
    """Serve one file; an address of an older version is gone."""
    path = request.path_params["path"]
    if request.path_params["version"] != version() or path not in _paths():
        return Response("There is no such file.\n", 404, media_type="text/plain")
    headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
    if path_type(path) in COMPRESSED and "gzip" in request.headers.get("accept-encoding", ""):
        return _response(compressed(path), path, {**headers, "Content-Encoding": "gzip"})
    return _response(plain(path), path, headers)


def path_type(path: str) -> str:
    """The file's ending, with its dot."""
    return Path(path).suffix


@cache
def plain(path: str) -> bytes:
    """The file's bytes."""
    return (FOLDER / path).read_bytes()


@cache
def compressed(path: str) -> bytes:
    """The file's bytes, as small as gzip makes them."""
    return gzip.compress(plain(path), 9, mtime=0)


@cache
def _paths() -> frozenset[str]:
    files = (file for file in FOLDER.rglob("*") if file.suffix in TYPES)
    return frozenset(file.relative_to(FOLDER).as_posix() for file in files)


def _response(body: bytes, path: str, headers: dict[str, str]) -> Response:
    return Response(body, headers={**headers, "Content-Type": TYPES[path_type(path)]})

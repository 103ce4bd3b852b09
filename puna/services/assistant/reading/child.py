"""The process in which a stranger's file is parsed; it can open no file and no connection.

In: the file's bytes on stdin, the limits as an argument.  Out: one JSON document on stdout,
{"lines": [...], "pages": n} or {"error": ...}.  Does not know whose file it is.
"""

from __future__ import annotations

import codecs
import contextlib
import importlib
import json
import logging
import pkgutil
import resource
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from puna.services.assistant.reading.document import Line
from puna.services.assistant.reading.html import html_lines
from puna.services.assistant.reading.plain import markdown_lines, plain_lines
from puna.services.assistant.reading.table import table_lines

# What the parsers load when they first need it must be loaded before the doors close.
_ENCODINGS = (
    "ascii", "latin_1", "cp1252", "mac_roman", "unicode_escape", "raw_unicode_escape",
    "utf_8", "utf_8_sig", "utf_16", "utf_16_be", "utf_16_le", "utf_32", "gb18030", "gbk",
    "gb2312", "big5", "shift_jis", "euc_jp", "euc_kr", "cp949", "cp932", "cp1251", "koi8_r",
)  # fmt: skip

Reader = Callable[[bytes, int], Iterable[Line]]


def main() -> None:
    """Read one file; a limit ends the process in the middle of whatever it does."""
    limits = json.loads(sys.argv[1])
    reader = _reader(limits["kind"])
    data = sys.stdin.buffer.read()
    _limit_resources(limits)
    answer = json.dumps(_answer(reader, data, limits))
    sys.stdout.buffer.write(answer.encode())


def _reader(kind: str) -> Reader:
    for name in _ENCODINGS:
        codecs.lookup(name)
    if kind == "pdf":
        return _pdf_reader()
    readers: dict[str, Callable[[str], Iterable[Line]]] = {
        "text": plain_lines,
        "markdown": markdown_lines,
        "table": table_lines,
        "html": html_lines,
    }
    return lambda data, _: readers[kind](_decoded(data))


def _pdf_reader() -> Reader:
    import pypdf  # noqa: PLC0415

    from puna.services.assistant.reading.pdf import pdf_lines  # noqa: PLC0415

    for module in pkgutil.walk_packages(pypdf.__path__, "pypdf."):
        with contextlib.suppress(ImportError):  # what pictures need is not installed
            importlib.import_module(module.name)
    logging.disable()
    return pdf_lines


def _limit_resources(limits: dict[str, Any]) -> None:
    """Memory beyond what is mapped now, processor time, no descriptor beside those open."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        mapped = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + limits["memory_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))  # a socket, too, needs a descriptor
    signal.setitimer(signal.ITIMER_PROF, limits["cpu_s"])


def _answer(reader: Reader, data: bytes, limits: dict[str, Any]) -> dict[str, Any]:
    try:
        lines = list(_bounded(reader(data, limits["pages"]), limits))
    except MemoryError:
        return {"error": "it needs too much memory"}
    except RecursionError:
        return {"error": "it is nested too deeply"}
    except Exception as error:  # a file may break a parser in any way
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    return {
        "lines": [vars(line) for line in lines],
        "pages": max((x.page for x in lines), default=0),
    }


def _bounded(lines: Iterable[Line], limits: dict[str, Any]) -> Iterator[Line]:
    left, lines_left = limits["characters"], limits["lines"]
    for line in lines:
        if not line.text.strip():
            continue
        left, lines_left = left - len(line.text), lines_left - 1
        if left < 0 or lines_left < 0:
            raise ValueError(
                f"it holds more than {limits['characters']:,} characters "
                f"or {limits['lines']:,} lines"
            )
        yield line


def _decoded(data: bytes) -> str:
    """Return the text; bytes that are not Unicode are taken as Windows' Western letters."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


if __name__ == "__main__":
    main()

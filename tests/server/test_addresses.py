"""Who asks the API and who a page: by the address, the method and a key."""

from __future__ import annotations

import pytest
from starlette.types import Scope

from puna.server.addresses import is_of_api


def asked(path: str, method: str = "GET", authorization: bytes | None = None) -> Scope:
    headers = [] if authorization is None else [(b"authorization", authorization)]
    return {"type": "http", "path": path, "method": method, "headers": headers}


@pytest.mark.parametrize(
    ("scope", "of_api"),
    [
        (asked("/"), False),
        (asked("/web/turns", "POST"), False),
        (asked("/", authorization=b"Basic YTpi"), False),  # a proxy's password, with every page
        (asked("/v1/modles"), True),
        (asked("/chat/completions", "POST"), True),
        (asked("/models", authorization=b"Bearer puna_sk_x"), True),
    ],
)
def test_a_wrong_address_is_the_apis_or_the_pages(scope: Scope, of_api: bool) -> None:
    assert is_of_api(scope) is of_api

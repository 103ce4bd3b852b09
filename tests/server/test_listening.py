"""The server's own waiting times are never shorter than its settings say."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from puna.server.listening import config_for
from puna.server.settings import ServerSettings


@pytest.mark.parametrize(("header_s", "kept_s"), [(0.4, 1), (1.0, 1), (9.5, 10)])
def test_an_idle_connection_is_kept_at_least_as_long_as_a_header_may_take(
    header_s: float, kept_s: int
) -> None:
    app = FastAPI()
    app.state.settings = ServerSettings(header_s=header_s)
    assert config_for(app, "127.0.0.1", 0).timeout_keep_alive == kept_s

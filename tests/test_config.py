"""The PUNA_* variables become settings, or say what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from puna.config import BOUNDS, Bounds, Settings
from puna.errors import SettingError


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_environment({})
    assert settings.home == Path.home() / ".local/share/puna"
    assert settings.model == "smollm2"
    assert (settings.threads, settings.context_tokens, settings.isa) == (None, None, None)


def test_every_variable_is_read() -> None:
    settings = Settings.from_environment(
        {
            "PUNA_HOME": "/srv/puna",
            "PUNA_MODEL": "llama.gguf",
            "PUNA_THREADS": "2",
            "PUNA_CONTEXT": "4096",
            "PUNA_MODELS_MIB": "9000",
            "PUNA_ISA": "scalar",
            "PUNA_KV_TYPE": "int8",
            "PUNA_PACKED_CACHE": "off",
            "PUNA_FILE_MIB": "64",
            "PUNA_PAYMENTS": "stripe",
            "PUNA_STRIPE_KEY": "sk_test",
            "PUNA_STRIPE_WEBHOOK_SECRET": "whsec_test",
            "PATH": "/bin",
        }
    )
    assert "_test" not in repr(settings)
    assert settings == Settings(
        Path("/srv/puna"),
        "llama.gguf",
        2,
        4096,
        9000,
        "scalar",
        kv_type="int8",
        packed_cache=False,
        payments="stripe",
        stripe_key="sk_test",
        stripe_webhook_secret="whsec_test",
        bounds=Bounds(file_mib=64),
    )


def test_every_bound_is_read() -> None:
    given = {name: str(at) for at, name in enumerate(BOUNDS, start=1)}
    assert Settings.from_environment(given).bounds == Bounds(*range(1, len(BOUNDS) + 1))


def test_an_empty_variable_counts_as_absent() -> None:
    assert Settings.from_environment({"PUNA_THREADS": ""}).threads is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PUNA_THREAD", "2", "did you mean PUNA_THREADS?"),
        ("PUNA_MODLE", "x", "did you mean PUNA_MODEL?"),
        ("PUNA_XYLOPHONE", "2", "Puna knows PUNA_HOME"),
        ("PUNA_THREADS", "0", "whole number from 1 to 1024"),
        ("PUNA_FILE_MIB", "300", "whole number from 1 to 256"),
        ("PUNA_TALK_MIB", "0", "whole number from 1 to"),
        ("PUNA_RESPONSE_MIB", "5", "did you mean PUNA_RESPONSES_MIB?"),
        ("PUNA_THREADS", "5000", "whole number from 1 to 1024"),
        ("PUNA_THREADS", "two", "PUNA_THREADS is 'two'"),
        ("PUNA_CONTEXT", "-1", "PUNA_CONTEXT is '-1'"),
        ("PUNA_CONTEXT", "\u0662", "whole number from 1 to"),
        ("PUNA_KV_TYPE", "int4", "f16, int8"),
        ("PUNA_ISA", "sse2", "scalar, avx2, avx512bw, avx512, neon, neondot"),
        ("PUNA_PACKED_CACHE", "no", "set it to on or off"),
        ("PUNA_PAYMENTS", "paypal", "off, local, stripe"),
        ("PUNA_PAYMENTS", "stripe", "needs PUNA_STRIPE_KEY and PUNA_STRIPE_WEBHOOK_SECRET"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingError, match=message.replace("?", r"\?")):
        Settings.from_environment({name: value})


def test_accounts_lie_under_home_unless_told_otherwise() -> None:
    assert Settings(Path("/srv/puna")).database_url == "sqlite:////srv/puna/puna.db"
    elsewhere = Settings.from_environment({"PUNA_DATABASE": "postgresql://me:secret@db/puna"})
    assert elsewhere.database_url == "postgresql://me:secret@db/puna"
    assert "secret" not in repr(elsewhere)

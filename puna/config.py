"""What a user sets once for this machine: the PUNA_* variables.

In: an environment.  Out: one frozen Settings; whatever is wrong in it is a
SettingError.  Does not know what the settings are used for.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from puna.errors import SettingError
from puna.folders import data_folder

KvType = Literal["f16", "int8"]
Paying = Literal["off", "local", "stripe"]
DEFAULT_MODEL = "smollm2"
MOST_THREADS = 1024
INSTRUCTION_SETS = ("scalar", "avx2", "avx512bw", "avx512", "neon", "neondot")
STRIPE = ("PUNA_STRIPE_KEY", "PUNA_STRIPE_WEBHOOK_SECRET")
NAMES = (
    "PUNA_HOME",
    "PUNA_MODEL",
    "PUNA_THREADS",
    "PUNA_CONTEXT",
    "PUNA_ISA",
    "PUNA_MODELS_MIB",
    "PUNA_PACKED_CACHE",
    "PUNA_KV_TYPE",
    "PUNA_DATABASE",
    "PUNA_SERVER",
    "PUNA_API_KEY",
    "PUNA_PAYMENTS",
    *STRIPE,
)


def _bound(otherwise: int, most: int) -> int:
    """Return a field that is a whole number from 1 to `most`."""
    value: int = field(default=otherwise, metadata={"most": most})
    return value


@dataclass(frozen=True)
class Bounds:
    """How much one person or tenant may pile up; a field's name in capitals, behind PUNA_, sets it.

    An ordinary person never meets one.
    """

    file_mib: int = _bound(32, 256)  # one file, which is whole in memory when it is read
    files_mib: int = _bound(500, 2**20)  # a person's files
    conversations: int = _bound(10_000, 10**6)  # a person's
    talk_mib: int = _bound(256, 2**20)  # what is said in them
    import_mib: int = _bound(512, 2**20)  # one import, packed and unpacked
    uploads_mib: int = _bound(1024, 2**20)  # a person's files on their way in at once
    responses_days: int = _bound(30, 3650)  # how long /v1/responses are kept
    responses_mib: int = _bound(512, 2**20)  # a tenant's; the oldest make room
    repeats_mib: int = _bound(64, 2**20)  # a tenant's answers to Idempotency-Keys; likewise
    calls: int = _bound(20_000, 10**6)  # a tenant's lines in the log of tool calls; likewise
    spare_mib: int = _bound(256, 2**20)  # of the disk, that files leave free

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Bounds:
        """Read those that are given."""
        found = {
            bound.name: _positive(given, f"PUNA_{bound.name.upper()}", bound.metadata["most"])
            for bound in fields(cls)
        }
        return cls(**{name: value for name, value in found.items() if value is not None})


BOUNDS = tuple(f"PUNA_{bound.name.upper()}" for bound in fields(Bounds))


@dataclass(frozen=True)
class Settings:
    """The settings of one run; nothing reads the environment after this is made."""

    home: Path  # PUNA_HOME, XDG_DATA_HOME: models, accounts, history, benchmark files
    model: str = DEFAULT_MODEL  # PUNA_MODEL: a name in the store, or a path
    threads: int | None = None  # PUNA_THREADS: None uses the machine's cores
    context_tokens: int | None = None  # PUNA_CONTEXT: None leaves it to the model
    models_mib: int | None = None  # PUNA_MODELS_MIB: what a server's models may take in memory
    isa: str | None = None  # PUNA_ISA: None picks the best that this machine has
    kv_type: KvType = "f16"  # PUNA_KV_TYPE: how keys and values are kept; int8 takes half the room
    packed_cache: bool = True  # PUNA_PACKED_CACHE: keep large models' packed weights on disk

    # PUNA_DATABASE: accounts elsewhere than in a file under home; never shown, for its password
    database: str | None = field(default=None, repr=False)

    server: str | None = None  # PUNA_SERVER: through which `puna chat` talks; None: this machine's
    api_key: str | None = field(default=None, repr=False)  # PUNA_API_KEY: a person's, for it
    payments: Paying = "off"  # PUNA_PAYMENTS: who takes money for credits; local: the owner
    stripe_key: str | None = field(default=None, repr=False)  # PUNA_STRIPE_KEY
    stripe_webhook_secret: str | None = field(default=None, repr=False)
    bounds: Bounds = field(default_factory=Bounds)  # how much one person or tenant may pile up

    @property
    def database_url(self) -> str:
        """Where accounts are kept: `puna.db` under home unless PUNA_DATABASE says otherwise."""
        return self.database or f"sqlite:///{self.home.absolute() / 'puna.db'}"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the PUNA_* variables; an empty one counts as absent."""
        variables = os.environ if environment is None else environment
        given = {n: v for n, v in variables.items() if n.startswith("PUNA_") and v}
        _refuse_unknown(given)
        return cls(
            home=data_folder(variables),
            model=given.get("PUNA_MODEL", DEFAULT_MODEL),
            threads=_positive(given, "PUNA_THREADS", most=MOST_THREADS),
            context_tokens=_positive(given, "PUNA_CONTEXT"),
            models_mib=_positive(given, "PUNA_MODELS_MIB", most=2**30),
            isa=_isa(given),
            kv_type=_choice(given, "PUNA_KV_TYPE", KvType, "f16"),
            packed_cache=_switch(given, "PUNA_PACKED_CACHE"),
            database=given.get("PUNA_DATABASE"),
            server=given.get("PUNA_SERVER"),
            api_key=given.get("PUNA_API_KEY"),
            payments=_payments(given),
            stripe_key=given.get("PUNA_STRIPE_KEY"),
            stripe_webhook_secret=given.get("PUNA_STRIPE_WEBHOOK_SECRET"),
            bounds=Bounds.of(given),
        )


def _refuse_unknown(given: Mapping[str, str]) -> None:
    for name in given:
        if name not in (known := (*NAMES, *BOUNDS)):
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
            hint = f"did you mean {near[0]}?" if near else f"Puna knows {', '.join(known)}"
            raise SettingError(f"the environment sets {name}, which Puna does not know; {hint}")


def _positive(given: Mapping[str, str], name: str, most: int = 2**31) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) < 12 and 0 < int(value) <= most):
        raise SettingError(f"{name} is {value!r}; set it to a whole number from 1 to {most}")
    return int(value)


def _isa(given: Mapping[str, str]) -> str | None:
    value = given.get("PUNA_ISA")
    if value is not None and value not in INSTRUCTION_SETS:
        raise SettingError(f"PUNA_ISA is {value!r}; set it to one of {', '.join(INSTRUCTION_SETS)}")
    return value


def _choice(given: Mapping[str, str], name: str, choices: Any, otherwise: str) -> Any:
    """Return the value if it is one of a Literal's."""
    value = given.get(name, otherwise)
    if value not in get_args(choices):
        raise SettingError(f"{name} is {value!r}; set it to one of {', '.join(get_args(choices))}")
    return value


def _payments(given: Mapping[str, str]) -> Paying:
    paying: Paying = _choice(given, "PUNA_PAYMENTS", Paying, "off")
    missing = [name for name in STRIPE if name not in given]
    if paying == "stripe" and missing:
        raise SettingError(
            f"PUNA_PAYMENTS is stripe, which also needs {' and '.join(missing)}; both are in "
            "Stripe's dashboard, under Developers"
        )
    return paying


def _switch(given: Mapping[str, str], name: str) -> bool:
    value = given.get(name, "on")
    if value not in ("on", "off"):
        raise SettingError(f"{name} is {value!r}; set it to on or off")
    return value == "on"

"""API keys: shown once, found nowhere, refused at once when revoked."""

from __future__ import annotations

import gzip
import logging
import re
import subprocess
import zlib
from datetime import timedelta
from pathlib import Path

import pytest

from puna.accounts import Keys, Plan, Plans, Store, Tenants, Users
from puna.accounts.backup import backup
from puna.accounts.keys import new_secret
from puna.errors import AuthenticationError, ForbiddenError, InvalidParameterError, NotFoundError
from tests.accounts.world import ManualClock
from tests.postgres import Cluster

NO_KEYS = ["", "puna_sk_", "sk-abc", "puna_sk_\x00", "'; DROP TABLE keys; --", "é" * 80]


def test_a_key_stands_for_its_tenant_and_plan(store: Store) -> None:
    Tenants(store).create("acme")
    made = Keys(store).create("laptop", "acme")
    caller = Keys(store).verify(made.secret)
    assert (caller.tenant_id, caller.key_id) == (made.key.tenant_id, made.key.id)
    assert caller.plan.id == "free"
    assert caller.meter_id == caller.tenant_id
    caller.check_scope("chat")
    with pytest.raises(ForbiddenError, match="needs the scope 'admin'"):
        caller.check_scope("admin")


def test_a_key_with_a_plan_of_its_own_has_a_meter_of_its_own(store: Store) -> None:
    Plans(store).create(Plan("kiosk", requests_per_minute=1))
    made = Keys(store).create("door", plan_id="kiosk")
    caller = Keys(store).verify(made.secret)
    assert (caller.plan.id, caller.meter_id) == ("kiosk", made.key.id)


def test_a_secret_is_id_256_bits_and_checksum(store: Store) -> None:
    made = Keys(store).create("laptop")
    assert re.fullmatch(r"puna_sk_[a-z0-9]{16}_[0-9A-Za-z]{49}", made.secret)
    assert made.secret.split("_")[2] == made.key.id.removeprefix("key_")
    assert made.secret not in repr(made)


def test_a_mistyped_key_is_told_by_its_checksum(store: Store) -> None:
    secret = Keys(store).create("laptop").secret
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = zlib.crc32(secret[:-6].encode())
    for digit in reversed(secret[-6:]):
        number, wanted = divmod(number, 62)
        assert digits[wanted] == digit
    for place in range(25, len(secret)):
        wrong = secret[:place] + ("a" if secret[place] != "a" else "b") + secret[place + 1 :]
        with pytest.raises(AuthenticationError):
            Keys(store).verify(wrong)


@pytest.mark.parametrize("text", NO_KEYS)
def test_what_is_no_key_is_refused_without_a_look_at_the_database(store: Store, text: str) -> None:
    store.close()
    with pytest.raises(AuthenticationError, match="not valid"):
        Keys(store).verify(text)


def test_another_installations_key_is_refused(store: Store) -> None:
    for key_id in (Keys(store).create("laptop").key.id, "key_0000000000000000"):
        with pytest.raises(AuthenticationError, match="not valid"):
            Keys(store).verify(new_secret(key_id))


def test_revocation_holds_for_the_very_next_use_in_every_process(url: str) -> None:
    here, there = Store.open(url), Store.open(url)
    made = Keys(here).create("laptop")
    Keys(there).verify(made.secret)
    Keys(here).revoke(made.key.id)
    with pytest.raises(AuthenticationError):
        Keys(there).verify(made.secret)
    here.close()
    there.close()


def test_a_key_ends_at_its_time(store: Store, clock: ManualClock) -> None:
    keys = Keys(store, clock)
    made = keys.create("laptop", expires_at=clock() + timedelta(days=1))
    clock.move(86_399)
    keys.verify(made.secret)
    clock.move(1)
    with pytest.raises(AuthenticationError):
        keys.verify(made.secret)


def test_a_disabled_tenants_keys_are_refused(store: Store) -> None:
    Tenants(store).create("acme")
    made = Keys(store).create("laptop", "acme")
    Tenants(store).set_disabled("acme", True)
    with pytest.raises(AuthenticationError):
        Keys(store).verify(made.secret)
    Tenants(store).set_disabled("acme", False)
    Keys(store).verify(made.secret)


def test_one_tenant_cannot_see_or_revoke_anothers_keys(store: Store) -> None:
    acme, bee = Tenants(store).create("acme"), Tenants(store).create("bee")
    key = Keys(store).create("laptop", "acme").key
    assert Keys(store).list(bee.id) == []
    with pytest.raises(NotFoundError):
        Keys(store).revoke(key.id, tenant_id=bee.id)
    assert Keys(store).revoke(key.id, tenant_id=acme.id).revoked_at is not None


def test_the_last_use_is_noted_to_the_minute(store: Store, clock: ManualClock) -> None:
    keys = Keys(store, clock)
    made = keys.create("laptop")
    assert made.key.last_used_at is None
    for seconds, noted in ((0, 0), (59, 0), (1, 60)):
        start = clock()
        clock.move(seconds)
        keys.verify(made.secret)
        last = keys.list()[0].last_used_at
        assert last is not None
        assert (clock() - last).total_seconds() == (start - last).total_seconds() + seconds
        assert (last - made.key.created_at).total_seconds() == noted


def test_scopes_that_do_not_exist_are_refused(store: Store) -> None:
    with pytest.raises(InvalidParameterError, match="no scope 'root'"):
        Keys(store).create("laptop", scopes=frozenset({"chat", "root"}))


def test_a_hundred_keys_are_nowhere_in_plain_text(
    store: Store, folder: Path, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    """Not in the database's files or its logs, not in a copy, not in what the driver logs."""
    caplog.set_level(logging.DEBUG)
    store.engine.echo = "debug"
    made = [Keys(store).create(f"key {number}") for number in range(100)]
    for key in made:
        Keys(store).verify(key.secret)
    backup(store, folder / "copy.gz")
    (folder / "copy").write_bytes(gzip.decompress((folder / "copy.gz").read_bytes()))
    (folder / "driver.log").write_text(caplog.text)
    places = [folder]
    if not store.is_sqlite:
        cluster: Cluster = request.getfixturevalue("cluster")
        cluster.flush()
        places.append(cluster.folder)
    for place in places:
        assert grep(place, [made[0].key.id])  # we look where the keys are
        assert grep(place, [key.secret.split("_")[3][:20] for key in made]) == []
    assert len(grep(folder, [made[0].key.id])) >= 2


def grep(folder: Path, words: list[str]) -> list[str]:
    """Return the files below the folder that hold one of the words."""
    command = ["grep", "-r", "-l", "-a", "-F", "-f", "-", str(folder)]
    found = subprocess.run(
        command, input="\n".join(words), text=True, capture_output=True, check=False
    )
    assert found.returncode in (0, 1), found.stderr
    return found.stdout.splitlines()


def test_a_persons_key_stands_for_them_and_ends_with_them(store: Store) -> None:
    tenant = Tenants(store).create("acme")
    ada = Users(store).create("ada@example.org", "correct horse", tenant="acme")
    made = Keys(store).create("laptop", user="ada@example.org")
    assert (made.key.tenant_id, made.key.user_id) == (tenant.id, ada.id)
    assert Keys(store).verify(made.secret).user_id == ada.id
    assert Keys(store).verify(Keys(store).create("door", "acme").secret).user_id is None
    Users(store).set_disabled(ada.id, True)
    with pytest.raises(AuthenticationError):
        Keys(store).verify(made.secret)
    with pytest.raises(NotFoundError, match="there is no user"):
        Keys(store).create("spy", user="eve@example.org")

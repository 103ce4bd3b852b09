"""The commands on accounts: what an owner does, done on a terminal."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from puna.accounts import Keys, Ledger, Links, Store, Users
from puna.chat import Usage
from puna.errors import AuthenticationError
from tests.cli.conftest import Puna, has_no_traceback


def facts(puna: Puna, *arguments: str, stdin: str = "") -> Any:
    done = puna(*arguments, "--json", stdin=stdin)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def url(home: Path) -> str:
    return f"sqlite:///{home / 'puna.db'}"


def test_from_a_plan_to_an_invoice(puna: Puna, url: str, home: Path) -> None:
    price = ("--price", "*=1,0.25,4")
    plan = facts(puna, "plans", "create", "pro", "--rpm", "600", *price)
    assert (plan["requests_per_minute"], plan["offered"]) == (600, False)
    assert facts(puna, "plans", "change", "pro", "--offered")["offered"] is True
    assert plan["prices"]["*"]["cached_input_micros"] == 250_000
    tenant = facts(puna, "tenants", "create", "acme", "--plan", "pro")
    assert facts(puna, "credits", "add", "acme", "25.00", "--note", "hello")["available"] == "25.00"

    made = puna("keys", "create", "laptop", "--tenant", "acme")
    assert "never shows it again" in made.stderr
    store = Store.open(url)
    caller = Keys(store).verify(made.stdout.strip())
    assert caller.tenant_id == tenant["id"]
    admission = Ledger(store).admit(caller, "smollm2", Usage(250_000, 100_000))
    Ledger(store).settle(admission, Usage(250_000, 100_000), "success")
    store.close()

    [row] = facts(puna, "usage", "--tenant", "acme")
    assert (row["model"], row["completion_tokens"], row["cost_micros"]) == (
        "smollm2",
        100_000,
        650_000,
    )
    read = list(csv.DictReader(io.StringIO(puna("usage", "--csv").stdout)))
    assert [line["cost"] for line in read] == ["0.65"]
    page = puna("invoice", "acme", row["day"][:7]).stdout
    assert "24.35" in page
    assert page.startswith("<!doctype html>")


def test_a_payment_is_begun_listed_and_confirmed(puna_within: Puna) -> None:
    assert puna_within("tenants", "create", "acme").returncode == 0
    asked = ("credits", "checkout", "acme", "25.00")
    off = puna_within(*asked)
    assert (off.returncode, "PUNA_PAYMENTS" in off.stderr) == (1, True)
    made = json.loads(puna_within(*asked, "--json", PUNA_PAYMENTS="local").stdout)
    assert made["link"] == f"http://127.0.0.1:8600/pay/{made['id']}"
    [due] = facts(puna_within, "credits", "checkouts")
    assert (due["tenant"], due["credits"], due["paid"]) == ("acme", "25.00", None)
    confirm = ("credits", "confirm", made["id"])
    assert "credited" in puna_within(*confirm, PUNA_PAYMENTS="local").stdout
    assert "was credited before" in puna_within(*confirm, PUNA_PAYMENTS="local").stdout
    [balance] = [row for row in facts(puna_within, "credits") if row["tenant"] == "acme"]
    assert balance["available"] == "25.00"
    elsewhere = puna_within(*asked, "--page", "https://x.example/", PUNA_PAYMENTS="local").stdout
    assert "https://x.example/pay/pay_" in elsewhere


def test_a_key_is_listed_without_its_secret_and_revoked(puna_within: Puna, url: str) -> None:
    made = facts(puna_within, "keys", "create", "ci", "--scope", "chat", "--expires-in", "30")
    assert made["scopes"] == ["chat"]
    listed = puna_within("keys", "--json").stdout
    assert made["id"] in listed
    assert made["secret"] not in listed
    assert facts(puna_within, "keys", "revoke", made["id"])["revoked_at"] is not None
    store = Store.open(url)
    with pytest.raises(AuthenticationError):
        Keys(store).verify(made["secret"])
    store.close()


def test_people_are_added_with_an_unseen_password(puna_within: Puna, url: str) -> None:
    ada = facts(
        puna_within,
        "users",
        "create",
        "ada@example.org",
        "--role",
        "owner",
        stdin="correct horse\n",
    )
    assert "correct horse" not in json.dumps(ada)
    assert "argon2" not in json.dumps(ada)
    assert (
        puna_within("users", "password", "ada@example.org", stdin="another fine one\n").returncode
        == 0
    )
    code = facts(puna_within, "users", "invite", "--role", "admin")["code"]
    store = Store.open(url)
    users = Users(store)
    assert users.check("ada@example.org", "another fine one").role == "owner"
    assert Links(store, users).check(code) == "admin"
    store.close()


def test_whose_a_key_is_and_who_is_invited_is_listed(puna_within: Puna) -> None:
    puna_within("users", "create", "ada@example.org", stdin="a fine password")
    puna_within("keys", "create", "adas", "--user", "ada@example.org")
    puna_within("keys", "create", "nobodys")
    table = puna_within("keys", COLUMNS="200").stdout.splitlines()
    users = {row[0]: row[2] for row in map(str.split, table) if len(row) > 3}
    assert (users["adas"], users["nobodys"]) == ("ada@example.org", "-")
    path = facts(puna_within, "users", "invite")["path"]
    assert path.startswith("/welcome#")
    [pending] = json.loads(puna_within("users", "invitations", "--json").stdout)
    assert (pending["tenant"], pending["role"]) == ("owner", "member")
    assert puna_within("users", "withdraw", pending["id"]).returncode == 0
    assert "no invitation" in puna_within("users", "invitations").stderr
    assert "pending" in puna_within("users", "withdraw", pending["id"]).stderr


def test_a_copy_goes_to_another_home(puna_within: Puna, home: Path, tmp_path: Path) -> None:
    puna_within("tenants", "create", "acme")
    copy = tmp_path / "copy.gz"
    made = facts(puna_within, "backup", str(copy))
    done = puna_within("restore", str(copy), "--json", PUNA_HOME=str(tmp_path / "other"))
    assert json.loads(done.stdout) == made
    there = puna_within("tenants", "--json", PUNA_HOME=str(tmp_path / "other"))
    assert there.stdout == puna_within("tenants", "--json").stdout
    again = puna_within("restore", str(copy))
    assert again.returncode == 1
    assert "in use already" in again.stderr


def test_lists_are_tables_for_people(puna_within: Puna) -> None:
    tenants = puna_within("tenants").stdout
    assert tenants.split()[:5] == ["tenant", "plan", "credits", "state", "since"]
    assert "owner" in tenants
    assert "1,000,000" in puna_within("plans").stdout
    assert "no keys yet" in puna_within("keys").stderr
    assert "nothing was used yet" in puna_within("usage").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["tenants", "create", "owner"], 1, "a tenant named 'owner' already"),
        (["keys", "create", "x", "--tenant", "bee"], 1, "no tenant 'bee'"),
        (["keys", "create", "x", "--scope", "root"], 1, "no scope 'root'"),
        (["keys", "revoke", "key_x"], 1, "no key 'key_x'"),
        (["credits", "add", "owner", "1e3"], 1, "write it as 12.50"),
        (["credits", "add", "owner", "-5"], 1, "so much is not there"),
        (["plans", "create", "x", "--price", "1,2,3"], 2, "MODEL=IN,CACHED,OUT"),
        (["users", "invite", "--role", "god"], 2, "owner, admin, member"),
        (["users", "create", "ada@example.org"], 1, "a password has 10 to 1,000 characters"),
        (["usage", "--by", "hour"], 2, "is no column"),
        (["invoice", "owner", "november"], 1, "write it as 2026-11"),
    ],
)
def test_a_mistake_is_one_line(
    puna_within: Puna, arguments: list[str], code: int, message: str
) -> None:
    done = puna_within(*arguments)
    assert done.returncode == code, done.stderr
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert has_no_traceback(done)


def test_a_database_that_cannot_be_opened_is_one_line(puna_within: Puna) -> None:
    done = puna_within("tenants", PUNA_DATABASE="postgresql://me:hidden@127.0.0.1:1/puna")
    assert done.returncode == 1
    assert done.stderr.startswith("puna: error: the database postgresql+psycopg://me:***@127.0.0.1")
    assert "hidden" not in done.stderr
    assert has_no_traceback(done)


def test_nothing_of_a_table_is_cut_off_where_the_terminal_is_narrow(puna_within: Puna) -> None:
    made = facts(puna_within, "keys", "create", "laptop")
    assert made["id"] in puna_within("keys", COLUMNS="40").stdout

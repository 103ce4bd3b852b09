"""Who has nothing left is told so before a model is loaded, or even looked for."""

from __future__ import annotations

import json
from pathlib import Path

from puna.accounts import Plan, Price
from tests.server.web.house import guest, new_house


def test_nothing_is_loaded_for_somebody_without_credit(tmp_path: Path) -> None:
    house = new_house(tmp_path)  # where there is no model: leasing one would say so
    house.plans.create(Plan("priced", prices={"*": Price(1_000_000, 250_000, 4_000_000)}))
    client = guest(house, "priced")
    body = {"kind": "say", "text": "hello", "model": "llama"}
    events = [json.loads(line) for line in client.post("/web/turns", json=body).iter_lines()]
    [refusal] = [event for event in events if event["type"] == "error"]
    assert "credits" in refusal["error"]["message"].lower(), refusal
    house.ledger.credit("Guests", 5_000_000)
    events = [json.loads(line) for line in client.post("/web/turns", json=body).iter_lines()]
    [refusal] = [event for event in events if event["type"] == "error"]
    assert "llama" in refusal["error"]["message"], refusal

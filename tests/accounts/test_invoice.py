"""An invoice balances, hides nothing, runs nothing, and prints."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from pypdf import PdfReader

from puna.accounts.invoice import Invoices, as_html
from puna.chat import Usage
from puna.errors import InvalidParameterError
from tests.accounts.world import World


@pytest.fixture
def world(world: World) -> World:
    """Money in October, use and money in November, use in December."""
    world.clock.now = world.clock.now.replace(month=10)
    world.ledger.credit("acme", 5_000_000, note="transfer of October")
    for month in (11, 12):
        world.clock.now = world.clock.now.replace(month=month)
        for model in ("smollm2", "<b>llama & co</b>"):
            admission = world.ledger.admit(world.caller, model, Usage(250_000, 100_000))
            world.ledger.settle(admission, Usage(250_000, 100_000), "success")
        world.ledger.credit("acme", 2_500_000, note=f"transfer of month {month}")
    return world


def test_it_balances(world: World) -> None:
    october, november, december = (
        Invoices(world.store).get("acme", f"2026-{month}") for month in (10, 11, 12)
    )
    assert (october.opening_micros, october.closing_micros) == (0, 5_000_000)
    assert (november.opening_micros, november.closing_micros) == (5_000_000, 6_200_000)
    assert december.opening_micros == november.closing_micros
    for invoice in (october, november, december):
        credits = sum(credit.amount_micros for credit in invoice.credits)
        assert invoice.opening_micros + credits - invoice.total_micros == invoice.closing_micros
    assert november.total_micros == 1_300_000
    assert [line.model for line in november.lines] == ["<b>llama & co</b>", "smollm2"]


def test_the_page_shows_it_and_runs_nothing(world: World) -> None:
    page = as_html(Invoices(world.store).get("acme", "2026-11"), "Puna & Sons")
    for text in ("acme", "250,000", "1.30", "\N{MINUS SIGN}1.30", "6.20", "Puna &amp; Sons"):
        assert text in page
    assert "1 to 30 November 2026, UTC" in page.replace("\N{NO-BREAK SPACE}", " ")
    assert "&lt;b&gt;llama &amp; co&lt;/b&gt;" in page
    assert "<b>" not in page
    for foreign in ("<script", "http:", "https:", "url(", "@import"):
        assert foreign not in page


def test_amounts_stand_under_each_other_to_the_last_digit(world: World) -> None:
    admission = world.ledger.admit(world.caller, "smollm2", Usage(1, 0))
    world.ledger.settle(admission, Usage(1, 0), "success")
    page = as_html(Invoices(world.store).get("acme", "2026-12"))
    for text in ("0.650001", "0.650000", "1.300001", "2.500000", "7.399999"):
        assert text in page
    assert ">1.30<" not in page


def test_a_month_without_use_says_so(world: World) -> None:
    assert "Nothing was used" in as_html(Invoices(world.store).get("acme", "2027-01"))


@pytest.mark.parametrize("month", ["", "2026-13", "november", "2026-11-24"])
def test_what_is_no_month_is_refused(world: World, month: str) -> None:
    with pytest.raises(InvalidParameterError, match="write it as 2026-11"):
        Invoices(world.store).get("acme", month)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_it_prints_on_one_page(world: World, folder: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not on this machine")
    (folder / "invoice.html").write_text(as_html(Invoices(world.store).get("acme", "2026-11")))
    subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder / 'profile'}",
            "--no-pdf-header-footer",
            f"--print-to-pdf={folder / 'invoice.pdf'}",
            (folder / "invoice.html").as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    pages = PdfReader(folder / "invoice.pdf").pages
    assert len(pages) == 1
    text = pages[0].extract_text()
    for printed in ("Invoice", "acme", "smollm2", "250,000", "1.30", "Balance at the end", "6.20"):
        assert printed in text

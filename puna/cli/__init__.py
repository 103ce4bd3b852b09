"""The `puna` command: one file per command; the one place that wires everything together.

In: arguments, PUNA_* variables, a terminal.  Out: answers on stdout, everything
else on stderr.  A command imports the engine only when it runs.
"""

from __future__ import annotations

import sys

import typer

from puna.cli.ask import ask
from puna.cli.audit import audit
from puna.cli.backup import backup, restore
from puna.cli.bench import bench
from puna.cli.chat import chat
from puna.cli.credits import credits_
from puna.cli.failure import tell
from puna.cli.keys import keys
from puna.cli.models import models
from puna.cli.perplexity import perplexity
from puna.cli.plans import plans
from puna.cli.pull import pull
from puna.cli.serve import serve
from puna.cli.tenants import tenants
from puna.cli.tokenize import tokenize
from puna.cli.tools import tools
from puna.cli.usage import invoice, usage
from puna.cli.users import users
from puna.config import Settings
from puna.errors import PunaError

__all__ = ["app", "main"]

app = typer.Typer(
    name="puna",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: puna chat",
)


@app.callback()
def puna(context: typer.Context) -> None:
    """Puna, the open home of Llama models: run them on your own machine."""
    context.obj = Settings.from_environment()


def version() -> None:
    """Print Puna's version."""
    from importlib.metadata import version as installed_version

    print(installed_version("puna"))


def _add(command: typer.models.CommandFunctionType, example: str) -> None:
    app.command(epilog=f"Example: {example}")(command)


_add(ask, "puna ask 'Who wrote Hamlet?' --temperature 0")
_add(chat, "puna chat --system 'Answer in one sentence.'")
_add(serve, "puna serve --port 8600")
_add(pull, "puna pull hf:bartowski/Meta-Llama-3.1-8B-Instruct-GGUF:Q4_K_M")
_add(bench, "puna bench --prompt 512 --new 128 --json")
_add(tokenize, "puna tokenize 'Hello, world'")
_add(perplexity, "puna perplexity book.txt")
_add(usage, "puna usage --tenant acme --since 2026-11-01 --csv")
_add(invoice, "puna invoice acme 2026-11 --output invoice.html")
_add(audit, "puna audit --limit 20")
_add(backup, "puna backup accounts.jsonl.gz")
_add(restore, "puna restore accounts.jsonl.gz")
_add(version, "puna version")
app.add_typer(models, name="models", epilog="Example: puna models show smollm2")
app.add_typer(tenants, name="tenants", epilog="Example: puna tenants create acme")
app.add_typer(users, name="users", epilog="Example: puna users invite --tenant acme")
app.add_typer(keys, name="keys", epilog="Example: puna keys create laptop --tenant acme")
app.add_typer(plans, name="plans", epilog="Example: puna plans create pro --rpm 600")
app.add_typer(credits_, name="credits", epilog="Example: puna credits add acme 25.00")
app.add_typer(
    tools, name="tools", epilog="Example: puna tools add notes --command 'python notes.py'"
)


def main() -> None:
    """Run the command line; what a user or a file can cause ends as one line on stderr."""
    try:
        app(prog_name="puna")
    except (PunaError, OSError, MemoryError) as error:
        tell(error)
        sys.exit(1)

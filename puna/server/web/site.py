"""Every address of the pages and of the requests that their script sends.

A house in, an ASGI application out.  The table below is the contents.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from puna.accounts import Payments, Store
from puna.errors import PunaError
from puna.formats.store import ModelStore
from puna.server.desk import Desk
from puna.server.rounds import repeated
from puna.server.web import (
    ahead,
    answers,
    assets,
    chat,
    conversations,
    door,
    exports,
    failures,
    files,
    keys_in_name,
    memory,
    pay,
    plan,
    presets,
    settings,
)
from puna.server.web.console import (
    audit,
    backups,
    credits,
    engine,
    keys,
    models,
    payments,
    plans,
    tenants,
    tools,
    usage,
    users,
)
from puna.server.web.guard import Guard
from puna.server.web.house import House, house_of
from puna.server.web.visit import Endpoint, Handler, owner_only, signed_in
from puna.services.assistant.limits import Limits
from puna.services.assistant.model import Local
from puna.services.assistant.rehearsal import rehearse
from puna.services.assistant.under_way import RENEW_S

log = logging.getLogger(__name__)


class Site:
    """The assistant's pages and the owner's console."""

    def __init__(self, house: House) -> None:
        handlers = dict.fromkeys((*failures.EXPECTED, Exception), failures.answer)
        site = Starlette(routes=routes(), exception_handlers=handlers)
        site.state.house = house
        self._guarded = Guard(site)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._guarded(scope, receive, send)


def routes() -> list[BaseRoute]:
    """The whole table."""
    return [*_pages(), *_deeds(), *_console()]


def _pages() -> list[BaseRoute]:
    return [
        Route("/", signed_in(chat.new_page)),
        Route("/c/{conversation}", signed_in(chat.conversation_page)),
        Route("/memory", signed_in(memory.memory_page)),
        Route("/settings", signed_in(settings.settings_page)),
        Route("/plan", signed_in(plan.plan_page)),
        Route("/pay/{checkout}", signed_in(pay.pay_page)),
        Route("/login", door.login_page),
        Route(door.WELCOME, door.welcome_page),
        Route("/static/{version}/{path:path}", assets.static_file),
    ]


def _deeds() -> list[BaseRoute]:
    talk, preset, file = (
        "/web/conversations/{conversation}",
        "/web/presets/{preset}",
        "/web/files/{file}",
    )
    return [
        Route("/web/welcome", door.welcome, methods=["POST"]),
        Route("/web/login", door.login, methods=["POST"]),
        _deed("POST", "/web/logout", door.logout),
        _deed("POST", "/web/password", door.change_password),
        _deed("DELETE", "/web/keys/{key}", keys_in_name.revoke),
        _deed("PUT", "/web/look", settings.set_look),
        _deed("GET", "/web/conversations", conversations.search),
        _deed("DELETE", "/web/conversations", conversations.delete_all),
        _deed("GET", "/web/export.json", exports.export_all),
        _deed("GET", "/web/export.zip", exports.export_bundle),
        _deed("POST", "/web/import", exports.bring),
        _deed("PATCH", talk, conversations.change),
        _deed("DELETE", talk, conversations.delete),
        _deed("POST", f"{talk}/branch", conversations.branch),
        _deed("GET", f"{talk}/export.{{format}}", exports.export),
        _deed("POST", "/web/turns", answers.begin),
        _deed("POST", "/web/turns/ahead", ahead.begin),
        _deed("GET", "/web/turns/{turn}", answers.follow),
        _deed("DELETE", "/web/turns/{turn}", answers.stop),
        _deed("POST", "/web/files", files.upload),
        _deed("DELETE", file, files.delete),
        _deed("GET", f"{file}/original", files.original),
        _deed("PUT", "/web/plan", plan.choose),
        _deed("POST", "/web/checkouts", pay.begin),
        _deed("POST", "/web/presets", presets.create_preset),
        _deed("PUT", preset, presets.change_preset),
        _deed("DELETE", preset, presets.delete_preset),
        _deed("PUT", "/web/memory/enabled", memory.enable),
        _deed("POST", "/web/memory", memory.remember),
        _deed("PATCH", "/web/memory/{memory}", memory.reword),
        _deed("POST", "/web/memory/{memory}/confirm", memory.confirm),
        _deed("DELETE", "/web/memory/{memory}", memory.forget),
    ]


def _console() -> list[BaseRoute]:
    pages: Sequence[tuple[str, Handler]] = [
        ("/console", engine.engine_page),
        ("/console/models", models.models_page),
        ("/console/usage", usage.usage_page),
        ("/console/usage.csv", usage.usage_csv),
        ("/console/tenants", tenants.tenants_page),
        ("/console/users", users.users_page),
        ("/console/keys", keys.keys_page),
        ("/console/plans", plans.plans_page),
        ("/console/credits", credits.credits_page),
        ("/console/invoice", credits.invoice),
        ("/console/backups", backups.backups_page),
        ("/console/tools", tools.tools_page),
        ("/console/audit", audit.audit_page),
        ("/web/console/live", engine.live),
    ]
    deeds: Sequence[tuple[str, str, Handler]] = [
        ("POST", "/web/console/models", models.pull_model),
        ("DELETE", "/web/console/models/{model:path}", models.remove_model),
        ("DELETE", "/web/console/pulls/{pull}", models.forget_pull),
        ("POST", "/web/console/tenants", tenants.create_tenant),
        ("PATCH", "/web/console/tenants/{tenant}", tenants.change_tenant),
        ("POST", "/web/console/users", users.invite),
        ("PATCH", "/web/console/users/{user}", users.change_user),
        ("DELETE", "/web/console/invitations/{invitation}", users.withdraw),
        ("POST", "/web/console/password", users.give_password),
        ("POST", "/web/console/keys", keys.create_key),
        ("DELETE", "/web/console/keys/{key}", keys.revoke_key),
        ("POST", "/web/console/plans", plans.create_plan),
        ("PATCH", "/web/console/plans/{plan}", plans.change_plan),
        ("POST", "/web/console/credits", credits.add_credits),
        ("POST", "/web/console/checkouts/{checkout}/confirm", payments.confirm),
        ("POST", "/web/console/backups", backups.make_backup),
        ("GET", "/web/console/backups/{backup}", backups.fetch_backup),
        ("DELETE", "/web/console/backups/{backup}", backups.delete_backup),
        ("POST", "/web/console/tools", tools.add_server),
        ("PATCH", "/web/console/tools/{server}", tools.change_server),
        ("PUT", "/web/console/tools/{server}/allowed", tools.allow_tools),
        ("DELETE", "/web/console/tools/{server}", tools.remove_server),
    ]
    return [
        *(Route(path, owner_only(page)) for path, page in pages),
        *(_route(method, path, owner_only(deed)) for method, path, deed in deeds),
    ]


def _deed(method: str, path: str, handler: Handler) -> Route:
    return _route(method, path, signed_in(handler))


def _route(method: str, path: str, endpoint: Endpoint) -> Route:
    return Route(path, endpoint, methods=[method])


class LateSite:
    """The site of a server whose desk opens with its event loop: furnished once that runs."""

    def __init__(
        self,
        store: Store,
        model_store: ModelStore,
        limits: Limits | None = None,
        payments: Payments | None = None,
    ) -> None:
        self._store, self._model_store, self._limits = store, model_store, limits
        self._payments = payments

    async def open(self, desk: Desk) -> House:
        """Furnish the house, and put right what an earlier server left unfinished."""
        house = house_of(self._store, self._model_store, desk, self._limits, self._payments)
        self._site, self._assistant = Site(house), house.assistant
        await asyncio.to_thread(house.assistant.mend)
        keep = partial(asyncio.to_thread, house.assistant.under_way.keep)
        self._tasks = [
            asyncio.create_task(repeated("answers", keep, RENEW_S, desk.tally)),
            asyncio.create_task(_rehearse(house)),
        ]
        return house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of the application that this is mounted in."""
        await self._site(scope, receive, send)

    async def close(self) -> None:
        """End the assistant's connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await self._assistant.close()


async def _rehearse(house: House) -> None:
    """Warm the default model up, once it is loaded, for the first person's question."""
    name = house.default_model
    try:
        async with house.desk.models.lease_async(name) as llm:
            await rehearse(house.assistant, Local(llm, name))
    except PunaError:
        pass  # whoever asks is told what is wrong
    except Exception:
        house.desk.tally.lapse("rehearsal")
        log.exception("the first question could not be rehearsed")

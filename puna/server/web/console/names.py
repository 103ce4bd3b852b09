"""Whom an id means: people by their address, keys and tenants by their name.

A house in, names by id out.  Knows no page.
"""

from __future__ import annotations

from puna.server.web.house import House


def names_of(house: House) -> dict[str, str]:
    """Read them all; waits for the database."""
    return {
        **{tenant.id: tenant.name for tenant in house.tenants.list()},
        **{user.id: user.email for user in house.users.list()},
        **{key.id: f"key {key.name}" for key in house.keys.list()},
    }

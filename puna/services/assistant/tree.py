"""The messages of a conversation as a tree: an edit or a new answer is a branch.

In: who answers whom.  Out: the path to a message, its siblings, the newest end of a branch.
Knows no text and no database.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """A message's place; a greater number is younger, the first message has no parent."""

    id: str
    parent_id: str | None
    number: int


class Tree:
    """All places of one conversation."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes: dict[str, Node] = {}
        self._children: dict[str | None, list[str]] = {}
        for node in sorted(nodes, key=lambda node: node.number):
            self._nodes[node.id] = node
            self._children.setdefault(node.parent_id, []).append(node.id)

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, message_id: object) -> bool:
        return message_id in self._nodes

    def path(self, leaf_id: str | None) -> list[str]:
        """Return the messages from the first one to this one."""
        backwards: list[str] = []
        while leaf_id is not None:
            backwards.append(leaf_id)
            leaf_id = self._nodes[leaf_id].parent_id
        return backwards[::-1]

    def siblings(self, message_id: str) -> tuple[str, ...]:
        """Return all that answer the same message, this one among them, oldest first."""
        return tuple(self._children[self._nodes[message_id].parent_id])

    def newest_leaf(self, message_id: str | None) -> str | None:
        """Follow the youngest answers down to the end of the branch."""
        while children := self._children.get(message_id):
            message_id = children[-1]
        return message_id

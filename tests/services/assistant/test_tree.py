from __future__ import annotations

from puna.services.assistant.tree import Node, Tree

#   a -> b -> c
#     -> d -> e
#          -> f
TREE = Tree(
    Node(*node)
    for node in [
        ("a", None, 1),
        ("b", "a", 2),
        ("c", "b", 3),
        ("d", "a", 4),
        ("e", "d", 5),
        ("f", "d", 6),
    ]
)


def test_a_path_goes_from_the_first_message_to_the_leaf() -> None:
    assert TREE.path("e") == ["a", "d", "e"]
    assert TREE.path(None) == []


def test_siblings_answer_the_same_message_oldest_first() -> None:
    assert TREE.siblings("d") == ("b", "d")
    assert TREE.siblings("a") == ("a",)


def test_the_newest_leaf_follows_the_youngest_answers() -> None:
    assert TREE.newest_leaf("a") == "f"
    assert TREE.newest_leaf("b") == "c"
    assert Tree([]).newest_leaf(None) is None

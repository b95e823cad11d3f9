"""Whose turn it is."""

from __future__ import annotations

from trifold.engine.turns import Turns


def has_turn(turns: Turns[str], member: str, seconds: float, weight: float = 1.0) -> None:
    """One turn."""
    turns.serve(member)
    turns.charge(member, seconds, weight)


def among(*members: str) -> Turns[str]:
    turns: Turns[str] = Turns()
    for member in members:
        turns.enter(member)
    return turns


def test_turns_go_to_who_had_least() -> None:
    turns = among("a", "b", "c")
    has_turn(turns, "a", 3.0)
    has_turn(turns, "b", 1.0)
    assert turns.order("abc") == ["c", "b", "a"]
    assert turns.order("ab") == ["b", "a"]
    has_turn(turns, "c", 12.0, weight=6.0)
    assert turns.order("abc") == ["b", "c", "a"]
    turns.leave("b")
    assert turns.order("abc") == ["c", "a"]
    turns.leave("b")


def test_of_equals_the_one_named_first_has_its_turn() -> None:
    assert among("a", "b", "c").order("cab") == ["c", "a", "b"]


def test_asking_again_while_waiting_changes_nothing() -> None:
    turns = among("a", "b")
    has_turn(turns, "a", 5.0)
    has_turn(turns, "b", 1.0)
    turns.enter("a")
    has_turn(turns, "b", 3.0)
    assert turns.order("ab") == ["b", "a"]


def test_who_begins_to_wait_stands_where_the_last_one_stood_when_its_turn_came() -> None:
    turns = among("a", "b")
    for _ in range(10):
        for member in "ab":
            has_turn(turns, member, 10.0)
    turns.enter("c")
    has_turn(turns, "c", 5.0)
    assert turns.order("abc") == ["c", "a", "b"]
    has_turn(turns, "c", 6.0)
    assert turns.order("abc") == ["a", "b", "c"]


def test_what_a_member_had_counts_while_it_waits_for_nothing_and_is_forgotten_when_nobody_waits() -> None:
    turns = among("a", "b")
    turns.serve("a")
    turns.leave("a")  # asks one thing at a time
    turns.serve("b")
    turns.leave("b")
    turns.charge("b", 1.0)
    turns.enter("b")
    turns.charge("a", 5.0)
    turns.enter("a")
    assert turns.order("ab") == ["b", "a"]
    for member in "ab":
        turns.leave(member)
    assert turns.idle()
    turns.enter("a")
    turns.enter("b")
    assert turns.order("ab") == ["a", "b"]


def test_several_turns_at_once_are_all_counted() -> None:
    turns = among("a", "b")
    turns.serve("a")
    turns.serve("a")
    turns.charge("a", 1.0)
    has_turn(turns, "b", 1.5)
    assert turns.order("ab") == ["a", "b"]
    turns.charge("a", 1.0)
    assert turns.order("ab") == ["b", "a"]

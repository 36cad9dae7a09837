"""Parts in the hands of workers that die: each is done once, and by nobody else meanwhile."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from monitor.archives.hands import Hands
from monitor.archives.parts import Part


def parts(count: int) -> list[Part]:
    return [Part(number, "/srv/news.csv", "csv", 10 * number, 10, number, number + 1) for number in range(count)]


@given(st.integers(1, 12), st.integers(1, 4), st.randoms(use_true_random=False))
def test_whoever_dies_each_part_is_done_once(count: int, workers: int, chance: Random) -> None:
    hands = Hands(parts(count), workers)
    held: dict[int, list[Part]] = {number: [] for number in range(workers)}
    done: list[int] = []
    born, given_up = workers, ""
    while not hands.empty and not given_up:
        worker = chance.choice(list(held))
        held[worker] += hands.filled(worker)
        assert len(held[worker]) <= 2
        in_hand = [part.number for some in held.values() for part in some]
        assert len(in_hand) == len(set(in_hand))
        assert set(in_hand).isdisjoint(done)
        if held[worker] and chance.random() < 0.6:
            done.append(held[worker][0].number)
            hands.done(worker, held[worker].pop(0))
        elif chance.random() < 0.3:
            del held[worker]
            given_up = hands.lost(worker)
            held[born], born = [], born + 1
    assert given_up or sorted(done) == list(range(count))


def test_what_a_dead_worker_had_is_done_after_all_else() -> None:
    """It may be what ended it: the others are not to wait for that."""
    hands = Hands(parts(5), 2)
    assert [part.number for part in hands.filled(1)] == [0, 1]
    assert hands.filled(1) == []
    assert hands.lost(1) == ""
    assert [part.number for part in hands.filled(2)] == [2, 3]
    assert [part.number for part in hands.filled(3)] == [4, 0]
    assert not hands.empty


def test_workers_that_die_one_after_the_other_are_no_reason_to_go_on_for_ever() -> None:
    hands = Hands(parts(2), 1)
    for worker in range(3):
        hands.filled(worker)
        assert hands.lost(worker) == ""
    hands.filled(3)
    hands.done(3, parts(2)[0])
    for worker in range(3, 6):
        hands.filled(worker)
        assert hands.lost(worker) == "", "a part was done between"
    (last,) = hands.filled(6)
    told = hands.lost(6)
    assert told == f"4 workers died and no part was done between; next was {last.name} of /srv/news.csv"

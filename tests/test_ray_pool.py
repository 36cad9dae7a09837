"""The pool of actors on nodes that come and go, with a Ray that is acted."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.archives.parts import Part
from monitor.archives.places import Place
from monitor.archives.ray_cluster import Cluster, Shape, _Pool
from monitor.archives.scoring import Receipt
from monitor.errors import InputUnusable
from monitor.settings import Settings


class ActorDied(Exception):
    actor_init_failed = False


class OutOfMemory(Exception):
    pass


class Ref:
    def __init__(self, actor: Actor, told: Mapping[str, float] | None) -> None:
        self.actor, self.told = actor, told


class Actor:
    """It lies on a node as soon as one has room, and answers what it was asked in that order."""

    def __init__(self) -> None:
        self.node: str | None = None
        self.dead = False
        self.asked: list[Ref] = []
        self.ready = SimpleNamespace(remote=lambda: self._ask(None))
        self.score = SimpleNamespace(remote=lambda part: self._ask({"part": part["number"], "rows": part["rows"]}))

    def _ask(self, told: Mapping[str, float] | None) -> Ref:
        self.asked.append(Ref(self, None if told is None else {**told, "failed": 0, "seconds": 1.0}))
        return self.asked[-1]


class ActedRay:
    """Nodes with room for one actor each.

    Args:
        happens: called before each answer; it may add nodes, or let some die.
    """

    exceptions = SimpleNamespace(RayActorError=ActorDied, OutOfMemoryError=OutOfMemory)

    def __init__(self, nodes: Sequence[str], chance: Random, happens: Any) -> None:
        self.up, self.chance, self.happens = list(nodes), chance, happens
        self.actors: list[Actor] = []
        self.most = 0

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 1.0}} for _ in self.up]

    def remote(self, _: type) -> Any:
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self._begun))

    def _begun(self, *_: object) -> Actor:
        self.actors.append(Actor())
        return self.actors[-1]

    def kill(self, actor: Actor) -> None:
        actor.dead, actor.node = True, None

    def die(self, node: str) -> None:
        self.up.remove(node)
        for actor in self.actors:
            actor.dead = actor.dead or actor.node == node
            actor.node = None if actor.dead else actor.node

    def wait(self, refs: Sequence[Ref]) -> tuple[list[Ref], list[Ref]]:
        self.happens(self)
        free = [node for node in self.up if node not in {actor.node for actor in self.actors}]
        for actor in self.actors:
            if actor.node is None and not actor.dead and free:
                actor.node = free.pop()
        self.most = max(self.most, sum(actor.node is not None for actor in self.actors))
        can = [ref for ref in refs if ref.actor.dead or (ref.actor.node and ref.actor.asked[0] is ref)]
        assert can, "it waits for ever"
        return [self.chance.choice(can)], []

    def get(self, ref: Ref) -> Mapping[str, float] | None:
        if ref.actor.dead:
            raise ActorDied("the actor died")
        ref.actor.asked.remove(ref)
        return ref.told


def parts(count: int) -> list[Part]:
    return [Part(number, "/srv/news.csv", "csv", 10 * number, 10, number, number + 1) for number in range(count)]


def scored(ray: ActedRay, count: int, *, workers: int, fixed: bool = False) -> list[Receipt]:
    return list(_Pool(ray, Shape(workers, 1, 0), (), fixed=fixed).run(parts(count)))


@given(st.integers(1, 12), st.integers(1, 4), st.randoms(use_true_random=False), st.booleans())
def test_whatever_comes_and_goes_each_part_is_scored_once(count: int, nodes: int, chance: Random, fixed: bool) -> None:
    """One node stays; the others die one after the other, at any moment, and as many come."""
    deaths = [f"node {number}" for number in range(1, nodes)]

    def happens(ray: ActedRay) -> None:
        if deaths and chance.random() < 0.2:
            ray.die(deaths.pop())
        if chance.random() < 0.1 and len(ray.up) < 6:
            ray.up.append(f"later {chance.random()}")

    ray = ActedRay(["node 0", *deaths], chance, happens)
    found = scored(ray, count, workers=nodes, fixed=fixed)
    assert sorted(one.part for one in found) == list(range(count))


@given(st.randoms(use_true_random=False))
def test_the_last_parts_of_a_dead_node_go_to_an_actor_that_is_idle(chance: Random) -> None:
    """It holds the room that another actor would wait for."""

    def happens(ray: ActedRay) -> None:
        idle = [actor for actor in ray.actors if actor.node and not actor.asked]
        busy = [actor for actor in ray.actors if actor.node and actor.asked and actor not in idle]
        if idle and busy and len(ray.up) == 2 and busy[0].node:
            ray.die(busy[0].node)

    found = scored(ActedRay(["a", "b"], chance, happens), 4, workers=2)
    assert sorted(one.part for one in found) == [0, 1, 2, 3]


def test_nodes_that_come_later_are_used_unless_a_number_was_asked_for() -> None:
    def happens(ray: ActedRay) -> None:
        if len(ray.actors) == 1 and not ray.chance.randrange(3) and len(ray.up) == 1:
            ray.up += ["b", "c"]

    for fixed, most in ((False, 3), (True, 1)):
        ray = ActedRay(["a"], Random(1), happens)
        assert len(scored(ray, 30, workers=1, fixed=fixed)) == 30
        assert ray.most == most


def test_it_waits_for_a_node_where_all_are_gone() -> None:
    def happens(ray: ActedRay) -> None:
        if ray.up == ["a"] and ray.actors[0].node and len(ray.actors[0].asked) == 1:
            ray.die("a")
        elif not ray.up and len(ray.actors) > 1:
            ray.up = ["b"]

    found = scored(ActedRay(["a"], Random(2), happens), 4, workers=1)
    assert sorted(one.part for one in found) == [0, 1, 2, 3]


def test_an_address_where_nobody_listens_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself would ask for minutes."""
    cluster = Cluster(Settings(), Place(str(tmp_path)), "", "tiny-1", lean=True)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{one.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(InputUnusable, match=f"no Ray cluster answers at {address}"):
            list(cluster.run(parts(1), lambda _: None))

"""Dominators are held against their definition: what cannot be reached without a node."""

from __future__ import annotations

import random

import pytest

from builder.size.dominators import find_dominators


def reach(targets, starts, without=None):
    waiting = [start for start in starts if start != without]
    found = set(waiting)
    while waiting:
        for target in targets[waiting.pop()]:
            if target != without and target not in found:
                found.add(target)
                waiting.append(target)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_they_are_those_of_the_definition(seed):
    chance = random.Random(seed)
    count = chance.randrange(1, 30)
    targets = [
        sorted({chance.randrange(count) for _ in range(chance.choice((0, 1, 1, 2, 3)))})
        for _ in range(count)
    ]
    starts = sorted({chance.randrange(count) for _ in range(chance.choice((1, 1, 2, 4)))})
    sizes = [chance.randrange(1000) for _ in range(count)]

    tree = find_dominators(targets, starts)

    reached = reach(targets, starts)
    assert set(tree.parent) == reached
    retained = tree.retained(sizes)
    for node in reached:
        lost = reached - reach(targets, starts, without=node)
        assert {one for one in reached if node in {one, *tree.chain(one)}} == lost
        assert retained[node] == sum(sizes[one] for one in lost)


def test_chains_are_longer_than_the_stack():
    count = 200_000
    targets = [(node + 1,) for node in range(count - 1)] + [()]
    tree = find_dominators(targets, [0])
    assert len(tree.chain(count - 1)) == count - 1
    assert tree.retained([1] * count)[0] == count


def test_without_entry_points_nothing_is_reached():
    assert find_dominators([(0,)], []).parent == {}

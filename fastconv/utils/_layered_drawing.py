"""Places for boxes joined by arrows, row by row, so that all arrows point the same way and no two boxes
overlap.

K. Sugiyama, S. Tagawa, M. Toda, "Methods for Visual Understanding of Hierarchical System Structures", 1981:
rows by the longest way, waypoints where an arrow passes a row, an order of each row with few crossings, then
positions.

Positions are pairs (across, along): along is the direction of the arrows.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

Point = tuple[float, float]
Edge = tuple[int, int]

GAP_ACROSS, GAP_ALONG, MARGIN = 22.0, 34.0, 12.0
WAYPOINT = 10.0  # how much room an arrow has where it passes a row
BETWEEN_ARROWS = 14.0  # at the box that they leave or reach
SWEEPS = 12


class Layout(NamedTuple):
    """Where everything is.

    centres   of the boxes, in the order of the boxes
    ways      of each edge the points that its arrow goes through: two for each row, where it enters it (or
              leaves its first box) and where it leaves it (or reaches its last box)
    extent    of the whole drawing
    """

    centres: list[Point]
    ways: list[list[Point]]
    extent: Point


def arranged(sizes: Sequence[Point], edges: Sequence[Edge]) -> Layout:
    """Places for boxes of these sizes. ``edges`` are (from, to), and lead round in no circle."""
    places = _Rows(sizes, edges)
    places.order()
    return places.positioned()


class _Rows:
    """Boxes and waypoints in rows. Waypoints are numbered on from the boxes."""

    def __init__(self, sizes: Sequence[Point], edges: Sequence[Edge]) -> None:
        self.sizes = list(sizes)
        self.edges = edges
        self.row_of = _rows(len(sizes), edges)
        self.chains: list[list[int]] = []  # of each edge: the box, the waypoints, the box
        self.boxes = len(sizes)
        waypoints: dict[
            Edge, int
        ] = {}  # by box and row: arrows from the same box stay together while they can
        for tail, head in edges:
            chain = [tail]
            for row in range(self.row_of[tail] + 1, self.row_of[head]):
                if (tail, row) not in waypoints:
                    waypoints[tail, row] = len(self.sizes)
                    self.sizes.append((WAYPOINT, 0.0))
                    self.row_of.append(row)
                chain.append(waypoints[tail, row])
            self.chains.append([*chain, head])
        self.above: list[list[int]] = [[] for _ in self.sizes]
        self.below: list[list[int]] = [[] for _ in self.sizes]
        for upper, lower in dict.fromkeys(pair for chain in self.chains for pair in pairwise(chain)):
            self.below[upper].append(lower)
            self.above[lower].append(upper)
        self.rows: list[list[int]] = [[] for _ in range(max(self.row_of, default=-1) + 1)]
        for item, row in enumerate(self.row_of):
            self.rows[row].append(item)

    # ---- the order in each row

    def order(self) -> None:
        """Sort each row by the mean place of the neighbours, from above and from below in turn; keep the
        best.
        """
        best, fewest = [row[:] for row in self.rows], self._crossings()
        for sweep in range(SWEEPS):
            if not fewest:
                break
            downwards = sweep % 2 == 0
            neighbours = self.above if downwards else self.below
            for row in self.rows if downwards else self.rows[::-1]:
                self._sort(row, neighbours)
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [row[:] for row in self.rows], crossings
        self.rows = best

    def _sort(self, row: list[int], neighbours: list[list[int]]) -> None:
        place = self._places()
        means = {
            item: _mean([place[n] for n in neighbours[item]]) if neighbours[item] else place[item]
            for item in row
        }
        row.sort(key=means.__getitem__)

    def _places(self) -> dict[int, int]:
        return {item: place for row in self.rows for place, item in enumerate(row)}

    def _crossings(self) -> int:
        place, total = self._places(), 0
        for row in self.rows:
            seen: list[int] = []
            for item in row:
                ends = [place[n] for n in self.below[item]]
                total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
                for end in ends:
                    insort(seen, end)
        return total

    # ---- positions

    def positioned(self) -> Layout:
        across = self._across()
        left = min((across[i] - size[0] / 2 for i, size in enumerate(self.sizes)), default=0.0) - MARGIN
        across = [x - left for x in across]
        tops, bottoms, along = [], [], MARGIN
        for row in self.rows:
            tops.append(along)
            along += max(self.sizes[item][1] for item in row)
            bottoms.append(along)
            along += GAP_ALONG
        centres = [
            (across[box], (tops[self.row_of[box]] + bottoms[self.row_of[box]]) / 2)
            for box in range(self.boxes)
        ]
        leaves = self._ports(across, tails=True)
        reaches = self._ports(across, tails=False)
        ways = []
        for number, chain in enumerate(self.chains):
            tail, *passed, head = chain
            way = [
                (leaves[number], centres[tail][1] + self.sizes[tail][1] / 2),
                (leaves[number], bottoms[self.row_of[tail]]),
            ]
            for item in passed:
                passes = self.row_of[item]
                way += [(across[item], tops[passes]), (across[item], bottoms[passes])]
            way += [
                (reaches[number], tops[self.row_of[head]]),
                (reaches[number], centres[head][1] - self.sizes[head][1] / 2),
            ]
            ways.append(way)
        right = max((across[i] + size[0] / 2 for i, size in enumerate(self.sizes)), default=MARGIN)
        return Layout(centres, ways, (right + MARGIN, max(bottoms, default=MARGIN) + MARGIN))

    def _across(self) -> list[float]:
        """Each item near its neighbours; the order stays, and the gaps."""
        across = [0.0] * len(self.sizes)
        for row in self.rows:
            self._place(row, [0.0] * len(row), across)
        for sweep in range(SWEEPS):
            downwards = sweep % 2 == 1  # the last one too: a chain is a straight column below its first box
            near = self.above if downwards else self.below
            for row in self.rows if downwards else self.rows[::-1]:
                wanted = [
                    _mean([across[n] for n in near[item]]) if near[item] else across[item] for item in row
                ]
                self._place(row, wanted, across)
        return across

    def _place(self, row: list[int], wanted: list[float], across: list[float]) -> None:
        """As near as possible to where they want to be, in the sense of least squares, in order and with
        gaps.

        With the room that the items before need taken off, that is regression by a rising sequence:
        neighbours that would overlap become one block, at the mean of what its members want.
        """
        needed, room = [], 0.0
        for before, item in zip([None, *row], row, strict=False):
            if before is not None:
                room += (self.sizes[before][0] + self.sizes[item][0]) / 2 + GAP_ACROSS
            needed.append(room)
        blocks: list[tuple[float, int]] = []  # mean, number of members
        for wish, offset in zip(wanted, needed, strict=True):
            mean, count = wish - offset, 1
            while blocks and blocks[-1][0] > mean:
                other, members = blocks.pop()
                mean = (other * members + mean * count) / (members + count)
                count += members
            blocks.append((mean, count))
        values = [mean for mean, count in blocks for _ in range(count)]
        for item, value, offset in zip(row, values, needed, strict=True):
            across[item] = value + offset

    def _ports(self, across: list[float], tails: bool) -> list[float]:
        """Where each edge leaves its box, or reaches it: side by side, in the order of their other ends.

        Edges that stay together for a while leave at one place.
        """
        ends: list[tuple[int, int, int]] = []  # of each edge the box, the next item, and a number of its own
        for number, (edge, chain) in enumerate(zip(self.edges, self.chains, strict=True)):
            together = tails and chain[1] >= self.boxes
            ends.append((edge[0 if tails else 1], chain[1 if tails else -2], -1 if together else number))
        of_box: dict[int, list[tuple[int, int, int]]] = {}
        for end in dict.fromkeys(ends):
            of_box.setdefault(end[0], []).append(end)
        ports = {}
        for box, own in of_box.items():
            own.sort(key=lambda end: across[end[1]])
            apart = min(BETWEEN_ARROWS, self.sizes[box][0] / (len(own) + 1))
            for place, end in enumerate(own):
                ports[end] = across[box] + (place - (len(own) - 1) / 2) * apart
        return [ports[end] for end in ends]


def _rows(count: int, edges: Sequence[Edge]) -> list[int]:
    """The row of each box: below all that lead to it. What nothing leads to is above its first reader."""
    after: list[list[int]] = [[] for _ in range(count)]
    missing = [0] * count
    for tail, head in edges:
        after[tail].append(head)
        missing[head] += 1
    first = [box for box in range(count) if not missing[box]]
    rows, ready = [0] * count, first[:]
    while ready:
        box = ready.pop()
        for head in after[box]:
            rows[head] = max(rows[head], rows[box] + 1)
            missing[head] -= 1
            if not missing[head]:
                ready.append(head)
    for box in first:
        rows[box] = min((rows[head] for head in after[box]), default=1) - 1
    return rows


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)

"""Probes on both sides of each decision of a part, from every value that it takes.

For each input and state, with all sorts of numbers for the others, the number is sought where a
decision turns: over all sizes first, then to the last bit. From there probes go a bit, a little
and far to both sides. With one value where a decision turns, the same is done for each other value:
what happens at a single number shows only where it changes what follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snnbridge.model import Array
from snnbridge_plugins.onnx.foreign.neurons.computing import Part
from snnbridge_plugins.onnx.foreign.neurons.decisions import Decision, decisions, sides
from snnbridge_plugins.onnx.foreign.neurons.numbers import floats, ordinals

#: Decisions that are aimed at; a neuron has about ten.
_MOST_TARGETS = 64
#: How far from where a decision turns, in units in the last place, and in parts of the number.
_BESIDE = (-2, -1, 0, 1, 2, 3)
#: Up to how many numbers the turns of all decisions are sought together.
_TOGETHER = 1 << 14
_AWAY = (-1.0, -0.5, -0.03, -1e-3, 1e-3, 0.03, 0.5, 1.0)


@dataclass(frozen=True)
class Aim:
    """How thoroughly one aims.

    Attributes
    ----------
    others : int
        With how many sets of numbers for the other values.
    sizes : tuple of int
        The powers of two among which a turn is sought first.
    turns : int
        Of how many turns at the most, seen from below and from above.
    sums : bool
        Whether at sums that cancel out, too.
    pairs : int
        With how many sets of numbers for the rest at two decisions at once.
    """

    others: int
    sizes: tuple[int, ...]
    turns: int
    sums: bool
    pairs: int


@dataclass(frozen=True)
class Grid:
    """The ordinals of numbers of all sizes, among which a turn is sought first."""

    order: Array
    aim: Aim


_FINE = (-120, -80, -50, -36, *range(-24, 24), 30, 40, 60, 80, 95)
THOROUGH = Aim(24, _FINE, 2, sums=True, pairs=3)
#: For neurons of which others were told with the one above.
QUICK = Aim(1, (-120, -20, -6, 0, 6, 20, 95), 1, sums=False, pairs=0)


def aimed(part: Part, aim: Aim, end: float) -> Iterator[dict[str, Array]]:
    """Yield probes of shape (probes, neurons) for everything that a part takes.

    Parameters
    ----------
    part : Part
    aim : Aim
    end : float
        Up to which size.
    """
    rng = np.random.default_rng(1)
    targets = [d for d in decisions(part) if d.binding or aim.sums][:_MOST_TARGETS]
    grid, names = _grid(part, aim, end), (*part.drives, *part.states)
    for name in names if targets else ():
        others = _others(part, aim, end, rng)
        orders = _turns(part, targets, name, others, grid)
        yield _around(part, name, orders, others, end)
        binding = orders[[d.binding for d in targets]]
        if aim.pairs and binding.size:
            pinned = _pinned(part, name, binding[:, 0], others, aim)
            for other in names:
                if other != name:
                    turns = _turns(part, targets, other, pinned, grid)
                    yield _around(part, other, turns, pinned, end)


def _pinned(
    part: Part, name: str, orders: Array, others: Mapping[str, Array], aim: Aim
) -> dict[str, Array]:
    """Return sets of numbers with one value where decisions turn, on both sides."""
    rows = np.linspace(0, aim.others - 1, aim.pairs).astype(np.int64)
    some = orders[:, rows]
    found = {
        key: np.broadcast_to(x[rows], (2, *some.shape)).reshape(-1, part.neurons)
        for key, x in others.items()
    }
    sides = np.stack([some, some + 1]).reshape(-1, part.neurons)
    return {**found, name: floats(sides, part.dtype)}


def far(part: Part, count: int, end: float) -> dict[str, Array]:
    """Return numbers of all sizes that there are, the smallest and zeros of both signs too."""
    rng, kind = np.random.default_rng(2), np.finfo(part.dtype)
    shape = (count, part.neurons)

    def draw() -> Array:
        sizes = 2.0 ** rng.uniform(kind.minexp - kind.nmant + 1, np.log2(end) - 1, shape)
        drawn = (rng.uniform(1, 2, shape) * sizes * rng.choice([-1, 1], shape)).astype(part.dtype)
        return np.asarray(np.where(rng.random(shape) < 1 / 8, drawn * 0, drawn))

    return {name: draw() for name in (*part.drives, *part.states)}


def _others(part: Part, aim: Aim, end: float, rng: np.random.Generator) -> dict[str, Array]:
    """Draw the numbers that stand still: none, and such as the constants of a part suggest."""
    levels = [2.0**n for n in (-100, -40, -20, -10, 0, 10, 20, 40, 60, 90) if 2.0 ** (n + 2) < end]
    for x in part.constants.values():
        if x.dtype.kind in "fiu" and x.size:
            size = float(np.median(np.abs(x)))
            levels += [size] if np.isfinite(size) and 0 < 3 * size < end else []
    sizes = np.array([sign * level for level in levels for sign in (0.4, -0.4, 2.5, -2.5)])
    found = {}
    for name in (*part.drives, *part.states):
        drawn = np.resize(rng.permutation(sizes), aim.others)[:, None]
        drawn = drawn * rng.uniform(0.8, 1.2, (aim.others, part.neurons))
        drawn[0] = 0
        found[name] = drawn.astype(part.dtype)
    return found


def _grid(part: Part, aim: Aim, end: float) -> Grid:
    powers = np.array([2.0**n for n in aim.sizes if 2.0**n < end] + [end])
    whole = np.sort(np.concatenate([-powers, [0], powers])).astype(part.dtype)
    return Grid(ordinals(whole), aim)


def _turns(
    part: Part,
    targets: Sequence[Decision],
    name: str,
    others: Mapping[str, Array],
    grid: Grid,
) -> Array:
    """Return the last floats before decisions turn: (decisions, turns, others, neurons).

    They are ordinals. Where a decision does not turn, some number stands instead.
    """
    rows, turns = others[name].shape[0], grid.aim.turns
    small = len(targets) * turns * rows * part.neurons <= _TOGETHER
    return np.concatenate([
        _turns_of(part, some, name, others, grid)
        for some in ([targets] if small else [[target] for target in targets])
    ])  # fmt: skip


def _turns_of(
    part: Part,
    targets: Sequence[Decision],
    name: str,
    others: Mapping[str, Array],
    grid: Grid,
) -> Array:
    order, aim = grid.order, grid.aim
    at = np.broadcast_to(order[:, None, None], (len(order), *others[name].shape))
    over = _over(part, targets, name, at, others)
    changes = over[:, 1:] != over[:, :-1]
    last = changes.shape[1] - 1 - changes[:, ::-1].argmax(axis=1)
    places = np.stack([changes.argmax(axis=1), last][: aim.turns], axis=1)
    low, high = order[places], order[places + 1]
    before, own = np.take_along_axis(over, places, axis=1), range(len(targets))
    while (high - low > 1).any():
        middle = low + (high - low) // 2
        stays = _over(part, targets, name, middle, others)[own, own] == before
        low, high = np.where(stays, middle, low), np.where(stays, high, middle)
    return np.asarray(low)


def _over(
    part: Part, targets: Sequence[Decision], name: str, at: Array, others: Mapping[str, Array]
) -> Array:
    """Return on which side decisions are for ordinals of one value: (decisions, *those)."""
    rows = (-1, part.neurons)
    given = {
        key: np.broadcast_to(x, at.shape).reshape(rows) for key, x in others.items() if key != name
    }
    given[name] = floats(at, part.dtype).reshape(rows)
    found = [
        np.stack([np.greater(*sides(target, values)) for target in targets])
        for _, values in part.blocks(given)
    ]
    return np.concatenate(found, axis=1).reshape(len(targets), *at.shape)


def _around(
    part: Part, name: str, orders: Array, others: Mapping[str, Array], end: float
) -> dict[str, Array]:
    """Return probes beside some ordinals of one value: (targets, turns, others, neurons)."""
    near = [floats(orders + n, part.dtype) for n in _BESIDE]
    with np.errstate(over="ignore"):
        away = [(near[2] * (1 + part.dtype.type(f))) for f in _AWAY]
    found = np.clip(np.stack([*near, *away]), -end, end).astype(part.dtype)
    rows = (-1, part.neurons)
    given = {key: np.broadcast_to(x, found.shape).reshape(rows) for key, x in others.items()}
    return {**given, name: found.reshape(rows)}

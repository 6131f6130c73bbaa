"""Arithmetic that the standard operators lack, made of those that they have, to the bit."""

from __future__ import annotations

from snnbridge_plugins.onnx.recipes.terms import Term

#: Splits the 53 bits of a float64 into two halves (Dekker 1971): 2**27 + 1.
_SPLIT = 134217729.0


def fma(a: Term, b: Term, c: Term) -> Term:
    """Return a*b + c, rounded once.

    The exact sum is held as a float64 `near` and what `near` misses. Rounding `near` again goes
    wrong only where it lies halfway between two numbers and what it misses points to the other.
    """
    if a.dtype == "float32":
        product = a.cast("float64") * b.cast("float64")  # exact: 24 bits times 24
        near, missed = _two_sum(product, c.cast("float64"))
        rounded = near.cast("float32")
        error = near - rounded.cast("float64")
        other = rounded.cast("float64") + error * 2.0
        exists = other.cast("float32").cast("float64").equals(other)
        return _corrected(rounded, other.cast("float32"), exists, error, missed)
    high, low = _two_product(a, b)
    total, lower = _two_sum(high, c)
    rest, missed = _two_sum(lower, low)
    rounded, error = _two_sum(total, rest)
    other = rounded + error * 2.0
    return _corrected(rounded, other, (other - rounded).equals(error * 2.0), error, missed)


def _corrected(rounded: Term, other: Term, exists: Term, error: Term, missed: Term) -> Term:
    """Take the neighbour where the sum was halfway to it and what was missed points there."""
    above, below = (error > 0.0) & (missed > 0.0), (-error > 0.0) & (-missed > 0.0)
    towards = rounded.scope.op("Or", above, below)
    return rounded.scope.where(exists & towards, other, rounded)


def _two_sum(a: Term, b: Term) -> tuple[Term, Term]:
    """Return a + b and what its rounding missed, exactly (Knuth)."""
    total = a + b
    seen = total - a
    return total, (a - (total - seen)) + (b - seen)


def _two_product(a: Term, b: Term) -> tuple[Term, Term]:
    """Return a * b and what its rounding missed, exactly (Dekker)."""
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    first = a_high * b_high - product
    return product, ((first + a_high * b_low) + a_low * b_high) + a_low * b_low


def _halves(a: Term) -> tuple[Term, Term]:
    scaled = a * _SPLIT
    high = scaled - (scaled - a)
    return high, a - high


def truncated(x: Term, one: float) -> Term:
    """Return x in whole units of 1 / `one`, towards zero."""
    return (x * one).cast("int64").cast(x.dtype)


def shift_12(x: Term, word: Term) -> Term:
    """Return (x * word) >> 12 towards zero, x and the result in units of 2**-12."""
    product = (x * 4096.0).cast("int64") * word.cast("int64")
    return (product / 4096.0).cast(x.dtype) / 4096.0


def wrapped_16(x: Term) -> Term:
    """Return a whole number as a word of 16 bits holds it."""
    above = x + 32768.0
    return (above - (above / 65536.0).floor() * 65536.0) - 32768.0

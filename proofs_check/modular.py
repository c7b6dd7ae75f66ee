"""Arithmetic modulo the prime 2^61 − 1, in numpy uint64 arrays.

2^61 = 1 modulo the prime, so multiplying by a power of two rotates 61 bits. Products are made of 21-bit limbs: nine
products of 42 bits, exact in integers; for matrices nine float64 products, exact because their sums stay below 2^53.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from ..compiler.ops import Arithmetic

PRIME = 2**61 - 1
_P, _LIMB, _MASK = np.uint64(PRIME), np.uint64(21), np.uint64(2**21 - 1)
_CHUNK = 2**11  # that many 42-bit products sum to less than 2^53


def residue(value: Fraction) -> int:
    """The rational modulo the prime. Raises ZeroDivisionError when the prime divides its denominator."""
    if value.denominator % PRIME == 0:
        raise ZeroDivisionError("a denominator is divisible by 2^61 − 1")
    return value.numerator * pow(value.denominator, -1, PRIME) % PRIME


def _array(values: np.ndarray) -> np.ndarray:
    residues = [residue(Fraction(v)) for v in values.ravel().tolist()]
    return np.array(residues, dtype=np.uint64).reshape(values.shape)


def _limbs(a: np.ndarray) -> list[np.ndarray]:
    return [(a >> (_LIMB * np.uint64(i))) & _MASK for i in range(3)]


def _rotated(x: np.ndarray, bits: int) -> np.ndarray:
    """x · 2^bits modulo the prime, for x below 2^61."""
    high = np.uint64(61 - bits)
    return ((x & ((np.uint64(1) << high) - np.uint64(1))) << np.uint64(bits)) + (x >> high)


def _sum(products: Iterator[tuple[np.ndarray, int]], shape: tuple[int, ...]) -> np.ndarray:
    """Σ x · 2^bits modulo the prime; up to seven terms below 2^61 fit before a reduction is due."""
    total = np.zeros(shape, dtype=np.uint64)
    for count, (x, bits) in enumerate(products, start=1):
        total += _rotated(x, bits % 61)
        if count % 6 == 0:
            total %= _P
    return total % _P


def _scale(a: np.ndarray, factor: Fraction) -> np.ndarray:
    if factor == 1:
        return a
    if factor == -1:
        return (_P - a) % _P
    limbs = _limbs(np.array(residue(factor), dtype=np.uint64))
    return _sum(((x * c, 21 * (i + j)) for j, c in enumerate(limbs) for i, x in enumerate(_limbs(a))), a.shape)


def _matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    total = np.zeros((a.shape[0], b.shape[1]), dtype=np.uint64)
    for start in range(0, a.shape[1], _CHUNK):
        left = [x.astype(np.float64) for x in _limbs(a[:, start : start + _CHUNK])]
        right = [y.astype(np.float64) for y in _limbs(b[start : start + _CHUNK])]
        products = (((x @ y).astype(np.uint64), 21 * (i + j)) for i, x in enumerate(left) for j, y in enumerate(right))
        total = (total + _sum(products, total.shape)) % _P
    return total


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The entrywise product; shapes broadcast."""
    a, b = np.broadcast_arrays(a, b)
    return _sum(((x * y, 21 * (i + j)) for j, y in enumerate(_limbs(b)) for i, x in enumerate(_limbs(a))), a.shape)


def _inverse(a: np.ndarray) -> np.ndarray:
    """Entrywise 1/a, as a^(prime − 2) = a^(2^61 − 3); 0 for 0."""
    power, out = a, np.ones_like(a)
    for bit in bin(PRIME - 2)[:1:-1]:
        out = multiply(out, power) if bit == "1" else out
        power = multiply(power, power)
    return out


#: A random number, for `_relu`.
_POLE = np.array(0x3A5F1C96E8B2D47 % PRIME, dtype=np.uint64)


def _relu(a: np.ndarray) -> np.ndarray:
    """(a + |a|)/2 with the even function a²/(a² + r) in place of |a|, r a random number; relu(0) = 0 stays.

    Sums of relu that are equal as expressions (where relu(a) − relu(−a) = a is used) stay equal. Others become
    different rational functions, since 1/(a² + r) and 1/(b² + r) are independent unless a = ±b: a random point tells.
    """
    square = multiply(a, a)
    even = multiply(square, _inverse((square + _POLE) % _P))
    return _scale((a + even) % _P, Fraction(1, 2))


MODULAR = Arithmetic("integers modulo 2^61 − 1", np.uint64, _array, _scale, _matmul, _relu, lambda v: v % _P, multiply)

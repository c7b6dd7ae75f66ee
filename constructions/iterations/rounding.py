"""Coefficients that floats hold exactly."""

from __future__ import annotations

from fractions import Fraction


def nearest(value: Fraction) -> Fraction:
    """The nearest number with 53 significant bits: a float64, except that the exponent has no limits."""
    if not value:
        return value
    shift = 53 - (abs(value.numerator).bit_length() - value.denominator.bit_length())
    scaled = value * Fraction(2) ** shift  # between 2^52 and 2^54: one bit too many half of the time
    if abs(scaled) >= 2**53:
        shift -= 1
        scaled /= 2
    return Fraction(round(scaled)) / Fraction(2) ** shift

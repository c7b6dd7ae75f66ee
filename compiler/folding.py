"""Constants inside products: which words can leave their constants to the weights.

A head reads W_V H, W_K H and W_Q H, so a constant that multiplies rows from the left costs nothing where it stands: before
V or Q, or, transposed, behind K. Only constants that act on tokens have to be stored.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .algebra import Letter, Word


@dataclass(frozen=True)
class Segments:
    """c₀ s₁ c₁ … s_k c_k: the other letters, and the constant (or nothing) before, between and behind them."""

    letters: tuple[Letter, ...]
    constants: tuple[Word, ...]


def segments(word: Word, folded: Collection[int]) -> Segments | None:
    """The word cut at its constants; None where it has none, nothing else, or two side by side."""
    letters: list[Letter] = []
    constants: list[Word] = [()]
    for letter in word:
        if letter[0] not in folded:
            letters.append(letter)
            constants.append(())
        elif constants[-1]:
            return None
        else:
            constants[-1] = (letter,)
    if not letters or not any(constants):
        return None
    return Segments(tuple(letters), tuple(constants))


def foldable(word: Word, folded: Collection[int]) -> bool:
    """Whether a layer can make the word, stored as it is or transposed, with its constants in the weights."""
    found = segments(word, folded)
    if found is None or len(found.letters) > 3:
        return False
    first, *inner, last = found.constants
    if len(found.letters) == 3:
        return (not inner[0] and not last) or (not inner[1] and not first)
    if len(found.letters) == 2:
        return not (inner[0] and first and last)
    return not (first and last)

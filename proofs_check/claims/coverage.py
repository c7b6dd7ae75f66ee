"""Which numbered items of the papers have an entry in the ledger, and why the others have none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .ahn import SOURCE as AHN
from .fu import SOURCE as FU
from .giannou_layers import SOURCE as GIANNOU


def _equations(letter: str, last: int, first: int = 1) -> tuple[str, ...]:
    return tuple(f"({letter}{k})" for k in range(first, last + 1))


#: Everything in the papers that has a number: equations in brackets, and what has a name. Of Fu et al. what we have notes of.
NUMBERED: Mapping[str, tuple[str, ...]] = {
    GIANNOU: (
        "Theorem 1.1", *_equations("3.", 6), "Definition 3.1", "Assumption 3.2", "Proposition 3.3",
        "Lemma 4.1", "Theorem 4.2", "Remark 4.3", "Remark 4.4", "Remark 4.5",
        "Theorem 5.1", "Theorem 5.2", "Remark 5.3", "Theorem 5.4", "(A.1)",
        "Definition B.1", "Theorem B.2", "Theorem B.3", "Lemma B.4", "Theorem B.5", "Corollary B.6", "Theorem B.7",
        "Lemma B.8", "Lemma B.9", "Lemma B.10", "Remark B.11", *_equations("B.", 9),
        *_equations("C.", 34), "Remark C.1", *_equations("E.", 6), "Theorem E.1", "Corollary E.2", "Lemma E.3",
    ),
    AHN: (
        "Theorem 1", "Lemma 2", "Theorem 3", "Theorem 4", "Theorem 5", "Lemma 6", "Lemma 7", "Lemma 8", "Lemma 9", "Lemma 10",
        *(f"({k})" for k in range(1, 65) if k not in (12, 62)),
    ),
    FU: (
        "Theorem 5.1", "Definition B.1", "Lemma B.3", "Remark B.5", "Remark B.6",
        "(20)", "(21)", "(22)", "(28)", "(33)", "(34)", "(35)",
    ),
}  # fmt: skip

#: What says nothing that could be true or false, or says it again.
WITHOUT_ENTRY: Mapping[str, Mapping[str, str]] = {
    GIANNOU: {
        "(3.1)": "defines a layer",
        "(3.5)": "defines the loss",
        "(3.6)": "defines Newton's method",
        "Definition 3.1": "defines self-concordance",
        "Assumption 3.2": "an assumption; used as it is",
        "Definition B.1": "defines the Dikin ellipsoid",
        "(B.1)": "defines the decrement",
        "(B.2)": "defines the inexact method",
        "(B.3)": "defines Δ",
        "(C.9)": "shows the stream after step 2; its content is (C.10) and (C.13)",
        "(C.12)": "defines E_1 again, as (C.1) should have it",
        "(C.14)": "shows the stream in step 5",
        "(C.15)": "shows the stream after step 5; its content is (C.16)",
        "(C.18)": "shows the stream after step 7; its content is (C.17)",
        "(C.23)": "writes the update with the errors of (C.1), corrected",
        "(C.24)": "collects (C.6), (C.10), (C.16) and (C.20)",
    },
    AHN: {
        "(1)": "defines the prompt",
        "(2)": "defines softmax attention",
        "(3)": "defines linear attention",
        "(4)": "defines a layer",
        "(7)": "names the parameters that count",
        "(8)": "is part of Theorem 1",
        "(9)": "defines the sparse parameters",
        "(10)": "defines the loss on a prompt",
        "(13)": "defines the sparse parameters with B",
        "(14)": "is part of Theorem 5",
        "(23)": "is the form of Lemma 9",
        "(24)": "is Theorem 4 again",
        "(32)": "is the form of Lemma 9",
        "(33)": "is Theorem 5 again",
    },
    FU: {
        "Remark B.5": "says which layers have causal softmax attention and which have full ReLU attention",
        "(33)": "a copy of each Tx_j to the column of y_j; ours is one layer (Theorem 5.1)",
        "(34)": "reads even columns only; the others are 0 there",
        "(35)": "copies a sum that Lemma B.3 has already written to every column",
    },
}

_EQUATION = r"\((?:[A-Z]\.|\d\.)?\d+\)"
_NAMED = r"(Theorem|Lemma|Corollary|Proposition|Remark|Definition|Assumption)s? ([A-Z]?\.?\d+(?:\.\d+)?)(?: and (\d+\.\d+))?"


def items_of(number: str) -> set[str]:
    """The numbered items that the number of a record names: "(E.2)–(E.4)" names three equations, "after (B.5)" none."""
    if number.startswith(("after ", "before ", "below ")):
        return set()
    found = set(re.findall(_EQUATION, number))
    for first, last in re.findall(rf"({_EQUATION})(?:–| to )({_EQUATION})", number):
        letter, start = re.match(r"\(((?:[A-Z]\.|\d\.)?)(\d+)\)", first).groups()  # type: ignore[union-attr]
        end = int(re.findall(r"\d+", last)[-1])
        found |= set(_equations(letter, end, int(start)))
    for kind, one, other in re.findall(_NAMED, number):
        found |= {f"{kind} {one}"} | ({f"{kind} {other}"} if other else set())
    return found


def without_entry(numbers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The numbered items of each paper that no record names, and no reason excuses. `numbers`: (source, number) of records."""
    named: dict[str, set[str]] = {source: set(WITHOUT_ENTRY[source]) for source in NUMBERED}
    for source, number in numbers:
        named.setdefault(source, set()).update(items_of(number))
    return {source: [item for item in items if item not in named[source]] for source, items in NUMBERED.items()}

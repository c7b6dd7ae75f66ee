"""Nothing of the papers is left out: every numbered item has an entry or a reason, and so has every finding that we know of."""

from __future__ import annotations

import pytest

from headwright import Refuted
from headwright.proofs_check.claims import coverage, find, giannou_units, statements
from headwright.runtime import ledger

G, A, F, OWN = "Giannou et al. 2024", "Ahn et al. 2023", "Fu et al. 2023", "headwright"
NAMES = [(s.source, s.number) for s in statements()]

#: What readings of the papers found, from constructions run as printed and from inequalities re-derived, and where it is.
FINDINGS: dict[str, list[str]] = {
    G: [
        "Lemma 4.1", "Lemma 4.1, proof", "Lemma 4.1, last sentence", "(3.3), start", "(A.1)", "(3.4)",
        "section 6, powers", "section 6, conclusion", "Theorem 4.2", "Theorem 4.2, start", "Theorem 4.2, proof, step 1",
        "Theorem 4.2, proof, step 2", "Theorem 4.2, proof, step 3", "Theorem 4.2, output", "Theorem 4.2, end of proof",
        "Remark 4.3", "Remark 4.4", "Remark 4.5", "Remark 4.5, gradient descent", "Remark 4.5, Newton", "Remark 5.3",
        "(C.2)", "appendix C, update", "(C.1)", "(C.4), (C.5), (C.7), (C.8)", "steps 1, 2, 5, 6 and 8",
        "step 3 of appendix C", "(C.11) and step 4", "step 4, display", "step 5", "(C.16)", "step 6", "step 7, (C.17)",
        "step 8", "step 9, (C.21), (C.22)", "step 9, end", "Theorem 5.2, depth", "section 6, logistic regression",
        "appendix C, α", "(C.6)", "(C.10)", "(C.20)", "Theorem 5.1, width", "Theorem 5.1, proof of the width",
        "Theorem 5.2, width", "Theorem 1.1, width", "Theorem 1.1, layers", "Theorem 5.2, log log",
        "Theorems 5.1 and 5.2, k", "Theorems 5.1 and 5.2, κ_f", "(3.3), steps", "Proposition 3.3",
        "Proposition 3.3, second sentence", "Lemma B.8, gradient", "Lemma B.8, Hessian", "Lemma B.8, decrement",
        "(B.4)", "(B.5)", "after (B.5), combined", "Lemma B.9, last display", "Lemma B.9, I₁ and I₂", "Lemma B.9",
        "Lemma B.10", "before (B.6)", "before (B.6), quadratic term", "(B.6)", "after (B.6)", "after (B.6), c_1",
        "phase I, display", "phase I", "phase I, h", "appendix E.1, h'", "appendix E.1, monotonicity",
        "appendix E.1, h(1/6)", "appendix E.1, |c| and |y|", "appendix E.1, |z|", "appendix E.1, constant",
        "section 3.2.2", "Lemma B.4", "Theorem B.3", "(B.7)", "(B.9), second line", "after (B.9), deviation",
        "after (B.9), norm of ∇²g^{−1/2}G", "after (B.9), norm of ∇²g^{−1/2}", "phase II, recurrence before 3λ² + C'ε",
        "phase II", "phase II, δ", "phase II, telescoping", "end of the proof of Theorem 5.4", "Theorem 5.4",
        "Theorem 5.1, last sentence", "Remark B.11", "appendix E.2, (E.1)", "sketch of Theorem 5.2, step 3",
        "before (C.26)", "before (C.26), ε_4'", "(C.26)", "(C.27), (C.28)", "after (C.28)", "(C.29)", "(C.30)",
        "(C.31)", "(C.33), (C.34)", "after (C.24)", "Theorem E.1", "Corollary E.2", "Lemma E.3, (E.2)–(E.4)",
        "(E.5), (E.6)",
    ],
    A: [
        "Lemma 2", "Theorem 1", "section 1", "Theorem 3", "Theorem 4", "Theorem 5", "Lemma 8", "Lemma 9, (55)",
        "Lemma 10", "(5)", "(6)", "below (6)", "(11)", "(57), (58)", "(61)", "(59), (60), (63), (64)",
        "section 5.2, Hessian", "section 5.2, covariance", "section 5.2, distorted data", "before (18)",
        "proof of Lemma 6, C", "A.3, step 2", "B.1, first display", "B.2, G", "B.2 and B.3, w*", "(25), R̃", "(34), S̃",
        "(35)", "(42)", "after (48)", "Lemma 10, C", "Theorem 5, Σ", "(22)", "Figure 1d",
        "proofs of Lemmas 6 and 7, combining",
    ],
    F: [
        "(21), (28)", "(20) to (22)", "(28)", "Iterative Newton, α", "Theorem 5.1, number of examples",
        "Theorem 5.1, x_test", "Definition B.1", "appendix B, readout", "appendix B.3, M_1", "appendix B.3, M_2",
        "Remark B.6", "Lemma B.3", "Theorem 5.1",
    ],
    OWN: [
        "degree", "Gram form", "rotations", "spectral bound", "linear budget", "Newton step", "decrement", "X_0 = αI",
        "Theorem 5.4 as functions", "round-off in Fu et al.'s layers",
    ],
}  # fmt: skip

#: Findings without an entry, and why.
NOT_STATEMENTS = {
    "local minima outside of S, and of one layer": "not claimed by the paper; REMARKS of claims.ahn has the second",
    "α, ε, μ and bounds of the data are weights": "said in the entries of Theorem 4.2, start; appendix C, α; and κ_f",
    "(64) is equivalent to (64)": "an editorial slip: (63); said in the entry of (63)",
    "figures of trained models": "experiments: see docs/benchmarks; the loss of Figure 1d has an entry, since it is a number",
    "mov and mul of Akyürek et al.": "another paper's operations",
}


@pytest.mark.parametrize("source", coverage.NUMBERED)
def test_every_numbered_item_has_an_entry_or_a_reason(source: str) -> None:
    assert coverage.without_entry(NAMES)[source] == []
    assert not [item for item in coverage.WITHOUT_ENTRY[source] if item not in coverage.NUMBERED[source]]


def test_no_item_has_both_an_entry_and_a_reason_for_none() -> None:
    for source, reasons in coverage.WITHOUT_ENTRY.items():
        named = {item for where, number in NAMES if where == source for item in coverage.items_of(number)}
        assert not named & set(reasons)
        assert all(reasons.values())


def test_entries_name_no_item_that_the_paper_does_not_have() -> None:
    for source, items in coverage.NUMBERED.items():
        named = {item for where, number in NAMES if where == source for item in coverage.items_of(number)}
        assert named <= set(items)


def test_an_item_that_nobody_names_is_found() -> None:
    assert coverage.without_entry([n for n in NAMES if n[1] != "(C.29)"])[G] == ["(C.29)"]
    assert coverage.items_of("(E.2)–(E.4)") == {"(E.2)", "(E.3)", "(E.4)"} == coverage.items_of("(E.2) to (E.4)")
    assert coverage.items_of("Theorems 5.1 and 5.2, k") == {"Theorem 5.1", "Theorem 5.2"}
    assert coverage.items_of("after (B.5)") == set() == coverage.items_of("section 6, powers")


@pytest.mark.parametrize("source", FINDINGS)
def test_every_finding_has_an_entry_of_that_name(source: str) -> None:
    assert not [number for number in FINDINGS[source] if (source, number) not in NAMES]
    assert all(find(f"{source}, {number}")[0].number == number for number in FINDINGS[source])
    assert all(NOT_STATEMENTS.values())


def test_no_row_is_undecided_without_a_reason() -> None:
    undecided = [s for s in ledger.ledger() if s.verdict == "unknown"]
    assert [s.name for s in undecided] == [f"{F}, Remark B.6"]
    assert "a sketch" in undecided[0].check().reason


@pytest.mark.parametrize(
    ("number", "hypothesis"),
    [
        ("(57), (58)", "symmetric"),  # of A_l, in (9)
        ("(22)", "absorbed"),  # of 1/n, in the text before it
        ("(C.31)", "left to right"),  # of O = O
        ("Theorems 5.1 and 5.2, κ_f", "may depend on the data"),  # of the weights
    ],
)
def test_what_holds_under_the_papers_own_hypotheses_is_not_called_false(number: str, hypothesis: str) -> None:
    (statement,) = find(number)
    assert statement.verdict in ("holds", "holds with restriction")
    assert hypothesis in f"{statement.printed} {statement.corrected}"


@pytest.mark.parametrize("units", [1, 2, 8])
def test_no_number_of_units_keeps_the_2_norm_for_every_number_of_tokens(units: int) -> None:
    assert isinstance(giannou_units.refute_two_norm(units), Refuted)

"""The bounds of feed-forward units, proved again from the units themselves.

A sum of units in one argument is piecewise linear: its corners and its values there are rationals that are read off the units,
and `compiler.approximate.prove` encloses the function on every piece. How the units were found plays no part. That the weights
hold these units is the identity claim.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import sympy

from ..compiler.approximate.prove import NotProved, prove
from ..compiler.approximate.ridge import scaled_fit
from ..compiler.approximate.scalar_function import ApproximationError, ScalarFunction
from ..compiler.artifact import Artifact
from ..compiler.errors import HeadwrightError
from ..compiler.fits import plane_units
from ..compiler.graph import Fact, Graph
from ..compiler.lower import lower
from ..compiler.lowered import Approximation, Lowered
from ..compiler.pointwise import function_from_text
from ..compiler.polynomials import lower_exactly
from ..compiler.units import Units
from .certificate import Claim, Proved, Refuted, Unknown, Verdict
from .expressions import read_expression

_End = Fraction | None


def approximation_claims(artifact: Artifact) -> list[Claim]:
    """One claim for every function and product that units stand for."""
    if artifact.lowered is None:
        return []
    claims, seen = [], set()
    for approximation in artifact.lowered.approximations:
        units = artifact.graph.nodes[approximation.node].attr
        key = (units, approximation.domain, approximation.expression)
        if key in seen or not (approximation.bound or approximation.kind == "polynomial"):
            continue
        seen.add(key)
        if approximation.kind == "polynomial":
            statement = f"{len(units.units)} units are {approximation.expression}, exactly: {approximation.text}"
            claims.append(Claim("approximation", statement, check_approximation(units, approximation)))
            continue
        span = " × ".join(f"[{_show(lo, '-')}, {_show(hi, '')}]" for lo, hi in approximation.domain)
        statement = f"{len(units.units)} units are within {float(approximation.bound):.3g} of {approximation.text} on {span}"
        claims.append(Claim("approximation", statement, check_approximation(units, approximation)))
    return claims


def lowering_claims(artifact: Artifact) -> list[Claim]:
    """That the graph of the weights stands for the program: for models of which a theory bounds the errors of outputs."""
    if artifact.lowered is None:
        return []
    again = _lowered_again(artifact)
    verdict = again if isinstance(again, Refuted) else Proved("the program, lowered again, is that graph, with the same fits")
    return [Claim("lowering", "what the weights compute stands for the program, every function by one of the fits", verdict)]


def _lowered_again(artifact: Artifact) -> Lowered | Refuted:
    """What the program is lowered to; Refuted where that is not what the artifact says."""
    assert artifact.lowered is not None
    ours, kind = artifact.lowered, artifact.architecture.ffn
    try:
        again = lower_exactly(ours.traced, kind) if kind in ("gate", "relu2") else lower(ours.traced, ours.tolerances)
    except HeadwrightError as failure:
        return Refuted(f"the program cannot be lowered to this architecture: {failure.what}")
    if again.graph != artifact.graph or again.ideal != ours.ideal:
        return Refuted("the program, lowered again, is not the graph that the weights compute")
    if again.approximations != ours.approximations:
        return Refuted("the program, lowered again, has other fits")
    if again.inside != ours.inside:
        return Refuted("the program, lowered again, needs other domains of the network's own values")
    return again


def error_claims(artifact: Artifact) -> list[Claim]:
    """How far the outputs are from the program, recomputed: the program is lowered once more, and has to come out as the
    graph that the weights compute; errors of the fits are carried through sums and products by norms."""
    if artifact.lowered is None:
        return []
    again = _lowered_again(artifact)
    if isinstance(again, Refuted):
        return [Claim("error", "every output is near the program's", again)]
    claims = []
    for name, error in again.output_errors.items():
        stated = artifact.lowered.errors.get(name, 0.0)
        statement = f"every entry of {name} is within {stated:.3g} of the program's, in exact arithmetic"
        verdict: Verdict
        if error == float("inf"):
            verdict = Unknown("no bound is known of some factor: state one with hw.bounded")
            statement = f"output {name} is near the program's"
        elif not error <= stated:  # `stated` may be anything, nan too
            verdict = Refuted(f"only {error:.6g} follows")
        else:
            exact = artifact.architecture.ffn != "relu"
            how = "every product is exact" if exact else "bounds of the fits carried through the program by norms"
            given = "; ".join(_given(artifact.lowered.ideal, fact) for fact in artifact.lowered.ideal.facts)
            verdict = Proved(how + (f"; given {given}" if given else ""))
        claims.append(Claim("error", statement, verdict))
    return claims


def _given(graph: Graph, fact: Fact) -> str:
    name = graph.describe(fact.node)
    if fact.bounds is None:
        return f"{name} {fact.kind}"
    lo, hi = fact.bounds
    if fact.kind == "rows":
        return f"rows of {name} at most {hi:g}"
    if fact.kind == "norm":
        return f"‖{name}‖ at most {hi:g}"
    return f"{name} ∈ {{−1, 1}}" if fact.kind == "signs" else f"{name} in [{lo:.6g}, {hi:.6g}]"


def _show(end: _End, sign: str) -> str:
    return f"{sign}∞" if end is None else f"{float(end):.6g}"


def check_approximation(units: Units, approximation: Approximation) -> Verdict:
    """Whether the units are within the stated bound of the function on the stated domain."""
    try:
        if approximation.kind == "function":
            return _check_function(units, approximation)
        if approximation.kind == "product":
            return _check_product(units, approximation)
        if approximation.kind == "polynomial":
            return _check_polynomial(units, approximation)
        if approximation.kind == "scaled":
            return _check_scaled(units, approximation)
    except NotProved as failure:
        return Unknown(str(failure))
    except (ValueError, ApproximationError) as failure:
        return Unknown(f"the function cannot be read or bounded: {failure}")
    return Unknown(f"no check is known for {approximation.kind!r}")


def _check_function(units: Units, approximation: Approximation) -> Verdict:
    if not approximation.expression:
        return Unknown(f"{approximation.text} is a Python function: its bound rests on what the program states of it")
    function = function_from_text(approximation.text, approximation.expression)
    ((lo, hi),) = approximation.domain
    arguments = max((len(unit.coefficients) for unit in units.units), default=1)
    signs = (1,) if arguments == 1 else (1, -1)  # the second argument is a sign
    worst, kinds = Fraction(0), []
    for sign in signs:
        single = [
            (u.coefficients[0], u.bias + (u.coefficients[1] * sign if arguments == 2 else 0), u.weight * sign)
            for u in units.units
        ]
        bound, how = _proved(function, single, lo, hi, approximation.bound)
        worst = max(worst, bound)
        kinds += how
    return _verdict(worst, approximation.bound, kinds)


def _check_polynomial(units: Units, approximation: Approximation) -> Verdict:
    """Gates are expanded. Of squared ReLUs relu(z)² = ½ z² + ½ z |z|; the halves z |z| have to cancel."""
    names = sympy.symbols("u v", real=True)[: len(approximation.domain)]
    total, odd = sympy.Integer(0), dict[sympy.Expr, Fraction]()
    for unit in units.units:
        inside = sum((sympy.Rational(c) * x for c, x in zip(unit.coefficients, names, strict=True)), sympy.Rational(unit.bias))
        if units.kind == "gate":
            total += sympy.Rational(unit.weight) * inside * sum(
                sympy.Rational(c) * x for c, x in zip(unit.gate, names, strict=True)
            )  # fmt: skip
            continue
        if units.kind != "relu2":
            return Unknown(f"{units.kind} units are no polynomial")
        total += sympy.Rational(unit.weight) * inside**2 / 2
        sign, key = (-1, -inside) if inside.as_coefficients_dict() and _leading(inside) < 0 else (1, inside)
        odd[key] = odd.get(key, Fraction(0)) + sign * unit.weight
    left = sympy.expand(total - read_expression(approximation.expression, {str(x): x for x in names}))
    if left != 0 or any(odd.values()):
        return Refuted(f"the units minus {approximation.expression} leave {left}" if left != 0 else "z |z| is left of a unit")
    return Proved("expanded by computer algebra")


def _leading(form: sympy.Expr) -> sympy.Rational:
    """The coefficient of the first symbol of a linear form."""
    return form.coeff(min(form.free_symbols, key=str)) if form.free_symbols else form


def _verdict(found: Fraction, stated: Fraction, kinds: list[str]) -> Verdict:
    how = ", ".join(dict.fromkeys(kinds))
    if found > stated:
        return Refuted(f"the units are up to {float(found):.6g} away, {float(stated):.6g} is stated ({how})")
    return Proved(f"every linear piece enclosed: {how}; at most {float(found):.3g}")


_Single = list[tuple[Fraction, Fraction, Fraction]]  # slope, bias and weight of units in one argument


def _proved(
    function: ScalarFunction, units: _Single, lo: _End, hi: _End, stated: Fraction
) -> tuple[Fraction, list[str]]:
    """sup |function − Σ weight · relu(slope z + bias)| on [lo, hi], and how each piece was proved; `stated` is enough."""
    corners = sorted({-bias / slope for slope, bias, _ in units if slope})
    inside = [t for t in corners if (lo is None or t > lo) and (hi is None or t < hi)]
    knots = [*([lo] if lo is not None else []), *inside, *([hi] if hi is not None else [])]
    if not knots:  # a constant, on all of the line
        knots = [Fraction(0)]
    for end, toward in ((lo, -1), (hi, 1)):
        far = sum((w * a for a, _, w in units if a * toward > 0), Fraction(0))
        if end is None and far:
            raise NotProved(float(knots[0]), "the units do not settle where the domain is unbounded")
    moving = [unit for unit in units if unit[0]]
    level = sum((w * max(Fraction(0), b) for a, b, w in units if not a), Fraction(0))
    values = [level + v for v in _values(moving, knots)]
    # the bound as it is stated, so that pieces are cut as they were for it; just below where floats do not hold it
    goal = float(stated) if Fraction(float(stated)) <= stated else math.nextafter(float(stated), 0.0)
    bound, how = prove(function, lo, hi, knots, values, goal)
    return bound, list(how)


def _check_product(units: Units, approximation: Approximation) -> Verdict:
    """a b = κ ((a + βb)² − (a − βb)²), κ = 1/(4β): units along two forms, each a piecewise linear function of one number.

    Piecewise linear minus a parabola has its extremes at corners, ends and vertices: exact rationals.
    """
    (a_lo, a_hi), (b_lo, b_hi) = approximation.domain
    if a_lo is None or a_hi is None or b_lo is None or b_hi is None:
        return Unknown("a factor is not bounded")
    if not units.units:  # the tolerance is that large
        largest = max(abs(a) for a in (a_lo, a_hi)) * max(abs(b) for b in (b_lo, b_hi))
        return _verdict(largest, approximation.bound, ["no units: the product itself is as small"])
    along: dict[Fraction, _Single] = {}
    constant = Fraction(0)
    for unit in units.units:
        p, q = unit.coefficients
        if p and q:
            along.setdefault(q / p, []).append((p, unit.bias, unit.weight))
        elif p or q:
            return Unknown("a unit reads one factor only")
        else:
            constant += unit.weight * max(Fraction(0), unit.bias)
    if len(along) != 2 or sum(along, Fraction(0)):
        return Unknown("the units do not lie along a + βb and a − βb")
    beta = max(along)
    low = high = constant
    for slope, members in along.items():
        kappa = (1 if slope > 0 else -1) / (4 * beta)
        ends = sorted((slope * b_lo, slope * b_hi))
        least, most = minus_parabola(members, kappa, a_lo + ends[0], a_hi + ends[1])
        low, high = low + least, high + most
    return _verdict(max(abs(low), abs(high)), approximation.bound, ["two squares, exactly"])


def _check_scaled(units: Units, approximation: Approximation) -> Verdict:
    """f(z) a: made once more, with its proof, from the function and the domain; the units have to come out the same."""
    function = function_from_text(approximation.text, approximation.expression)
    (z_lo, z_hi), (a_lo, a_hi) = approximation.domain
    if z_lo is None or z_hi is None or a_lo is None or a_hi is None:
        return Unknown("an argument is not bounded")
    found = scaled_fit(function, (z_lo, z_hi), (a_lo, a_hi), approximation.tol)
    if plane_units(found, units.name) != units:
        return Unknown("the units are not those of the fit that is proved")
    how = "Φ′ = f: pieces of every fit of Φ enclosed, what is left of the Taylor series enclosed"
    return _verdict(found.bound, approximation.bound, [how])


def minus_parabola(units: _Single, kappa: Fraction, lo: Fraction, hi: Fraction) -> tuple[Fraction, Fraction]:
    """The extremes of Σ weight · relu(slope s + bias) − κ s² on [lo, hi]."""
    knots = [lo, *sorted({t for a, b, _ in units if lo < (t := -b / a) < hi}), hi]
    values = _values(units, knots)
    found = [v - kappa * t * t for t, v in zip(knots, values, strict=True)]
    for (s, t), (v, w) in zip(pairwise(knots), pairwise(values), strict=True):
        slope = (w - v) / (t - s)
        vertex = slope / (2 * kappa)
        if s < vertex < t:
            found.append(v + slope * (vertex - s) - kappa * vertex * vertex)
    return min(found), max(found)


def _values(units: _Single, knots: list[Fraction]) -> list[Fraction]:
    """Σ weight · relu(slope s + bias) at increasing points, among which all corners between the first and the last are."""
    first = knots[0]
    value = sum((w * max(Fraction(0), a * first + b) for a, b, w in units), Fraction(0))
    slope = sum((w * a for a, b, w in units if a * first + b > 0 or (a * first + b == 0 and a > 0)), Fraction(0))
    turns: dict[Fraction, Fraction] = {}
    for a, b, w in units:
        turns[-b / a] = turns.get(-b / a, Fraction(0)) + w * abs(a)
    out = [value]
    for s, t in pairwise(knots):
        value += slope * (t - s)
        slope += turns.get(t, Fraction(0))
        out.append(value)
    return out

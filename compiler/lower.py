"""From the program's graph to one that layers compute exactly: every positionwise node becomes a sum of ReLU units.

The new graph is what the weights are proved to compute; how far it is from the program is a bound, made here (`errors`) from
the proved bound of every fit and carried through the products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

import sympy

from . import carrying
from .approximate.enclosure import above
from .approximate.scalar_function import ScalarFunction
from .bounding import Bounding
from .entrywise import as_number, is_linear, line_of_sign, number_near, of_one, parts, show
from .errors import ArchitectureError
from .fits import Fit, fit_function, fit_product, fit_scaled, gate, gated, signed_gate
from .graph import Fact, Graph, Node
from .lowered import Approximation, Lowered
from .ops import OPS
from .ranges import Range, Size, scaled, shape_of, smaller, up
from .rewriting import Rewriting
from .units import Units
from .ways import Ways


def lower(graph: Graph, tolerance: Callable[[int], Fraction], bounds: Mapping[int, Fraction] | None = None) -> Lowered:
    """Lowers all positionwise nodes; `tolerance` gives the error allowed to a node whose program line gives none.
    `bounds` takes the place of the proved bounds of nodes when errors are carried on: to see what they matter.

    Raises ArchitectureError where no domain can be proved, and ApproximationError where a function cannot be bounded on it.
    """
    return _Lowering(graph, tolerance, bounds or {}).run()


class _Lowering(Rewriting):
    def __init__(self, graph: Graph, tolerance: Callable[[int], Fraction], bounds: Mapping[int, Fraction]) -> None:
        super().__init__(graph)
        self.tolerance, self.bounds = tolerance, bounds
        self.sizes = graph.sizes
        self.ways = Ways(graph)
        self.bounding = Bounding(graph, self.ways)
        self.formulas, self.signs = self.ways.formulas, self.ways.signs
        self.errors: dict[int, Size] = {}
        self.inside: list[Fact] = []  # of the lowered graph
        self.approximations: list[Approximation] = []

    def run(self) -> Lowered:
        needed = self.ways.needed()
        for index in sorted(needed):
            self.bounding.bound(index)
            self.lower(index)
        ideal = replace(self.graph, facts=(*self.graph.facts, *self.bounding.facts()))
        return Lowered(self.rewritten(), ideal, self.meaning, self.errors, tuple(self.approximations), tuple(self.inside))

    # -- nodes ---------------------------------------------------------------------------------------------

    def lower(self, index: int) -> None:
        node = self.graph.nodes[index]
        if OPS[node.op].role == "positionwise":
            self.lower_positionwise(index, node)
            return
        gram = self.symmetric_product(index, node)
        errors = [self.errors[arg] for arg in node.args]
        factors = [self.bounding.trusted(a) for a in node.args] if node.op == "matmul" and any(e.entry for e in errors) else []
        error = self.of_solution(index, carrying.carried(node, shape_of(node, self.sizes), errors, factors))
        self.errors[index] = error if gram is None else carrying.symmetrised(error)
        self.meaning[index] = self.kept(index) if gram is None else gram

    def of_solution(self, index: int, error: Size) -> Size:
        """The smaller error that follows where the program states what it solves: errors do not pile up along an iteration."""
        shape = shape_of(self.graph.nodes[index], self.sizes)
        for claim in self.graph.residuals if error.entry else ():
            if claim.solution == index and claim.known == "matrix" and len(claim.squares) == 1 and len(claim.ones) <= 1:
                (matrix,), rights = claim.squares, claim.ones
                right = self.bounding.trusted(rights[0]).size if rights else None
                of_right = self.errors[rights[0]] if rights else error
                found = carrying.of_solution(shape, claim, self.errors[matrix], right, of_right)
                error = error if found is None else smaller(shape, error, found)
        return error

    def symmetric_product(self, index: int, node: Node) -> int | None:
        """Aᵀ diag(s) A is symmetric, also where diag(s) A is only nearly made: ½ (UᵀA + AᵀU) with U ≈ diag(s) A."""
        if node.op != "matmul":
            return None
        left, right = (self.graph.nodes[arg] for arg in node.args)
        inner = self.graph.nodes[left.args[0]] if left.op == "transpose" else None
        if inner is not None and inner.op == "rowscale" and inner.args[1] == node.args[1]:
            U, A = self.meaning[left.args[0]], self.meaning[node.args[1]]
        elif left.op == "transpose" and right.op == "rowscale" and right.args[1] == left.args[0]:
            U, A = self.meaning[node.args[1]], self.meaning[left.args[0]]
        else:
            return None
        U_T, A_T = (self.made("transpose", (x,), None, self.nodes[x].shape[::-1], index) for x in (U, A))
        first = self.made("matmul", (U_T, A), None, node.shape, index)
        second = self.made("matmul", (A_T, U), None, node.shape, index)
        total = self.made("add", (first, second), None, node.shape, index)
        return self.made("scale", (total,), Fraction(1, 2), node.shape, index)

    def lower_positionwise(self, index: int, node: Node) -> None:
        kind, sources = self.ways.strategy(index)
        if kind == "formula":
            self.lower_formula(index, node, sources)
        elif kind == "function":
            self.lower_function(index, node, node.attr.function, node.args[0])
        elif kind == "diagonal":
            self.lower_diagonal(index, node, sources[0])
        elif kind != "scaled" or not self.lower_scaled(index, node):
            self.lower_product(index, node)

    def lower_formula(self, index: int, node: Node, sources: tuple[int, ...]) -> None:
        expression = self.formulas[index].expression
        signs = [s for s in sources if s in self.signs]
        others = [s for s in sources if s not in self.signs]
        if not sources:
            value, bound = number_near(expression)
            self.meaning[index] = self.number(index, self.ones(index), value)
            self.errors[index] = carrying.of_fit(shape_of(node, self.sizes), bound)
            return
        line = is_linear(expression, others[0]) if not signs else None
        if line is not None:
            self.lower_line(index, node, others[0], *line)
            return
        if not signs:
            self.lower_function(index, node, self.named(expression, others[0]), others[0])
            return
        even, odd = parts(expression, signs[0])
        shape, y, terms, error = shape_of(node, self.sizes), signs[0], [], carrying.NONE
        for part, gates in ((even, False), (odd, True)):
            if not part.free_symbols:
                value, bound = number_near(part)
                if value:
                    terms.append(self.number(index, self.meaning[y] if gates else self.ones(index), value))
                error = carrying.total(shape, error, carrying.of_fit(shape, bound))
                continue
            line = is_linear(part, others[0])
            if line is not None and not gates:
                self.lower_line(index, node, others[0], *line)
                terms.append(self.meaning[index])
                error = carrying.total(shape, error, self.errors[index])
                continue
            if line is not None:
                terms += self.signed_line(index, node, others[0], y, *line)
                grown = scaled(self.errors[others[0]], float(above(abs(line[0]))))
                error = carrying.total(shape, error, grown)
                continue
            term, extra = self.fitted(index, node, self.named(part, others[0]), others[0], y if gates else None)
            terms.append(term)
            error = carrying.total(shape, error, extra)
        total = terms[0] if terms else self.number(index, self.ones(index), Fraction(0))
        for term in terms[1:]:
            total = self.made("add", (total, term), None, node.shape, index)
        self.meaning[index], self.errors[index] = total, error

    def named(self, expression: sympy.Expr, source: int) -> ScalarFunction:
        return of_one(expression, source, show(self.graph, expression))

    def number(self, index: int, base: int, value: Fraction) -> int:
        """value · base; with base = `ones`, a value all of whose entries are that number."""
        return base if value == 1 else self.made("scale", (base,), value, self.graph.nodes[index].shape, index)

    def lower_line(self, index: int, node: Node, source: int, slope: Fraction, offset: Fraction) -> None:
        """slope · source + offset needs no unit."""
        total = self.meaning[source]
        total = self.number(index, total, slope)
        if offset:
            total = self.made("add", (total, self.number(index, self.ones(index), offset)), None, node.shape, index)
        self.meaning[index], self.errors[index] = total, scaled(self.errors[source], float(above(abs(slope))))

    def signed_line(self, index: int, node: Node, source: int, sign: int, slope: Fraction, offset: Fraction) -> list[int]:
        """sign · (slope · source + offset), exactly: biases are no larger than the values are."""
        found = self.bounded_range(index, node, source)
        reach = max(abs(found.lo), abs(found.hi)) + self.errors[source].entry
        args = (self.meaning[source], self.meaning[sign])
        terms = [(self.units(index, signed_gate(Fraction(up(reach))), args), slope), (self.meaning[sign], offset)]
        return [self.number(index, x, c) for x, c in terms if c]

    def lower_function(self, index: int, node: Node, function: object, source: int) -> None:
        self.meaning[index], self.errors[index] = self.fitted(index, node, function, source, None)

    def fitted(self, index: int, node: Node, function: object, source: int, sign: int | None) -> tuple[int, Size]:
        """Units for a function of one node, times a sign where one is given, and their error."""
        stated, usual = self.bounding.ranges[source], self.bounding.usual[source]
        domain = node.attr.domain if node.op == "pointwise" and self.ways.strategy(index)[0] == "function" else None
        tol = node.attr.tol if node.op == "pointwise" and node.attr.tol is not None else self.tolerance(index)
        fit = fit_function(function, domain, stated, usual, tol, self.graph.describe(source), node.where)
        if fit.assumed:
            self.bounding.assumed.add(source)
        shape, error = shape_of(node, self.sizes), self.errors[source]
        table, domain = fit.units, fit.domain
        args = (self.meaning[source],) if sign is None else (self.meaning[source], self.meaning[sign])
        if sign is not None:
            found = self.bounding.trusted(source)  # a gate is exact within bounds only
            most = up(max(abs(found.lo), abs(found.hi)) + error.entry)
            reach = Fraction(most) if most < float("inf") else None
            table = gated(fit, reach, self.graph.describe(index), node.where)
            fit = replace(fit, text=f"{self.graph.describe(sign)} · {fit.text}")
            lo, hi = fit.domain
            domain = (-most if lo is None else lo, most if hi is None else hi)
        made = self.units(index, table, args)
        self.record(made, index, "function", fit, ((_end(domain[0]), _end(domain[1])),))
        own = carrying.of_fit(shape, self.bounds.get(index, fit.bound))
        return made, carrying.total(shape, own, carrying.moved(shape, error, fit.steepest))

    def units(self, index: int, table: Units, args: tuple[int, ...]) -> int:
        if table.biased:
            for dim in self.graph.nodes[index].shape:
                self.made("ones", (), None, (dim, 1), index)
        return self.made("units", args, table, self.graph.nodes[index].shape, index)

    def record(self, made: int, index: int, kind: str, fit: Fit, domain: tuple) -> None:  # type: ignore[type-arg]
        count = len(fit.units.units)
        self.approximations.append(
            Approximation(made, index, kind, fit.text, fit.expression, domain, fit.bound, count, fit.how, fit.tol)
        )

    def lower_diagonal(self, index: int, node: Node, source: int) -> None:
        """s on the diagonal: s times the 0/1 entries of an identity, exactly."""
        reach = self.bounded_range(index, node, source).size.entry + self.errors[source].entry
        eye = self.made("eye", (), None, node.shape, index)
        self.meaning[index] = self.units(index, gate(Fraction(up(reach))), (self.meaning[source], eye))
        entry = self.errors[source].entry
        self.errors[index] = Size(entry, entry, entry, entry)

    def bounded_range(self, index: int, node: Node, source: int) -> Range:
        found = self.bounding.trusted(source)
        if not found.finite:
            raise ArchitectureError(
                f"no bound is known of {self.graph.describe(source)}, a factor of {self.graph.describe(index)}",
                where=node.where,
                rule="feed-forward units multiply two numbers of a token only within bounds",
                fix="state one with hw.bounded(value, within=(lo, hi)), or apply a function that is bounded",
            )
        return found

    def lower_scaled(self, index: int, node: Node) -> bool:
        """f(z) · a in one layer; False where f is not smooth enough."""
        f, z, a = self.ways.scaled_source(index) or (0, 0, 0)
        inner, shape = self.graph.nodes[f], shape_of(node, self.sizes)
        stated = inner.op == "pointwise" and inner.attr.domain is not None
        function = inner.attr.function if stated else self.named(self.formulas[f].expression, z)
        at_z = self.bounding.trusted(z) if stated else self.bounded_range(index, node, z)
        at_a = self.bounded_range(index, node, a)
        # a domain that the program gives holds for the network's own values too: each run checks it
        slack = Fraction(0) if stated else Fraction(self.errors[z].entry)
        low, high = inner.attr.domain if stated else (Fraction(at_z.lo), Fraction(at_z.hi))
        if high - low + 2 * slack > _WIDEST:
            return False
        reach = Fraction(up(at_a.size.entry + self.errors[a].entry))
        tol = inner.attr.tol * reach if inner.op == "pointwise" and inner.attr.tol is not None else self.tolerance(index)
        text = f"{function.name} · {self.graph.describe(a)}"
        fit = fit_scaled(function, (low - slack, high + slack), (-reach, reach), tol, text, node.where)
        if fit is None:
            return False
        made = self.units(index, fit.units, (self.meaning[z], self.meaning[a]))
        self.record(made, index, "scaled", fit, ((low - slack, high + slack), (-reach, reach)))
        if stated and self.errors[z].entry:
            fix = f"give hw.apply a wider domain: {self.graph.describe(z)} is approximate in the network"
            self.inside.append(Fact("within", self.meaning[z], inner.where, (float(low), float(high)), fix))
        own, column = carrying.of_fit(shape, self.bounds.get(index, fit.bound)), node.op == "rowscale"
        # f̂(ẑ, â) − f(z) a = [f̂(ẑ, â) − f(ẑ) â] + [f(ẑ) â − f(z) a]
        moved = carrying.moved(shape_of(inner, self.sizes), self.errors[z], fit.steepest)
        error = carrying.of_product(shape, self.bounding.trusted(f), at_a, (moved, self.errors[a]), column)
        self.meaning[index], self.errors[index] = made, carrying.total(shape, own, error)
        return True

    def lower_product(self, index: int, node: Node) -> None:
        """The entrywise product of two values of a token, by two squares; exact where one is a sign."""
        a, b = node.args
        for factor in node.args:
            if factor not in self.meaning:  # one that was meant to be made together with the product
                self.lower(factor)
        for factor, other in ((a, b), (b, a)):  # a factor that turned out to be a number
            formula = self.formulas.get(factor)
            number = None if formula is None or formula.sources else as_number(formula.expression)
            if number is not None and self.graph.nodes[other].shape == node.shape:
                self.lower_line(index, node, other, number, Fraction(0))
                return
        line, value = line_of_sign(self.graph, a, self.signs), b
        if line is None and node.op == "hadamard":
            line, value = line_of_sign(self.graph, b, self.signs), a
        shape, column = shape_of(node, self.sizes), node.op == "rowscale"
        ra, rb = (self.bounded_range(index, node, source) for source in (a, b))
        ea, eb = self.errors[a], self.errors[b]
        wide = [(Fraction(r.lo) - Fraction(e.entry), Fraction(r.hi) + Fraction(e.entry)) for r, e in ((ra, ea), (rb, eb))]
        if line is not None:
            sign, slope, offset = line
            reach = max(map(abs, wide[0 if value == a else 1]))
            table, bound = signed_gate(reach, slope, offset), Fraction(0)
            made = self.units(index, table, (self.meaning[value], self.meaning[sign]))
        else:
            text = show(self.graph, self.formulas[index].expression)
            fit = fit_product(wide[0], wide[1], self.tolerance(index), text, node.where)
            made, bound = self.units(index, fit.units, (self.meaning[a], self.meaning[b])), self.bounds.get(index, fit.bound)
            self.record(made, index, "product", fit, tuple(wide))
        error = carrying.of_product(shape, ra, rb, (ea, eb), column)
        self.meaning[index], self.errors[index] = made, carrying.total(shape, carrying.of_fit(shape, bound), error)


#: On wider ranges of z, f(z) a takes two layers: the fit of one would need a long time.
_WIDEST = 64


def _end(end: Fraction | float | None) -> Fraction | None:
    return None if end is None else Fraction(end)

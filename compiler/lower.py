"""From the program's graph to one that layers compute exactly: every positionwise node becomes a sum of ReLU units.

The new graph is what the weights are proved to compute; how far it is from the program is a bound, made here (`errors`) from
the proved bound of every fit and carried through the products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

from .dims import Shape
from .entrywise import as_number, formulas, is_linear, is_open, number_near, of_one, parts, show
from .errors import ArchitectureError
from .fits import Fit, fit_function, fit_product, fit_scaled, gate, gated, image
from .graph import Fact, Graph, Node, OutputSpec, Residual
from .lowered import Approximation, Lowered
from .ops import OPS
from .ranges import (
    Range,
    Size,
    added,
    algebraic,
    between,
    both,
    entrywise,
    flipped,
    multiplied,
    product_range,
    scaled,
    shape_of,
    size,
    stated_range,
    up,
)
from .units import Units


def lower(
    graph: Graph, tolerance: Callable[[int], Fraction], bounds: Mapping[int, Fraction] | None = None
) -> Lowered:
    """Lowers all positionwise nodes; `tolerance` gives the error allowed to a node whose program line gives none.
    `bounds` takes the place of the proved bounds of nodes when errors are carried on: to see what they matter.

    Raises ArchitectureError where no domain can be proved, and ApproximationError where a function cannot be bounded on it.
    """
    return _Lowering(graph, tolerance, bounds or {}).run()


class _Lowering:
    def __init__(self, graph: Graph, tolerance: Callable[[int], Fraction], bounds: Mapping[int, Fraction]) -> None:
        self.graph, self.tolerance, self.bounds = graph, tolerance, bounds
        self.sizes = graph.sizes
        self.formulas = formulas(graph)
        self.positionwise: dict[int, bool] = {}  # whether units make the node, or a part of the sum that it is
        for index, node in enumerate(graph.nodes):
            own = OPS[node.op].role == "positionwise"
            self.positionwise[index] = own or (node.op in ("add", "scale") and any(self.positionwise[a] for a in node.args))
        self.signs = {fact.node for fact in graph.facts if fact.kind == "signs"}
        self.nodes: list[Node] = []
        self.numbers: dict[Node, int] = {}
        self.meaning: dict[int, int] = {}
        self.ranges: dict[int, Range] = {}  # from what the program states
        self.usual: dict[int, Range] = {}  # and where it states nothing of an input, entries in [−1, 1]
        self.errors: dict[int, Size] = {}
        self.assumed: set[int] = set()  # nodes whose usual range was relied upon
        self.facts: list[Fact] = []
        self.approximations: list[Approximation] = []

    def run(self) -> Lowered:
        needed = self.needed()
        for index in sorted(needed):
            self.bound(index)
            self.lower(index)
        graph = self.graph
        outputs = tuple(OutputSpec(o.name, self.meaning[o.node], o.shape) for o in graph.outputs)
        inputs = tuple(replace(spec, node=self.meaning[spec.node]) for spec in graph.inputs)
        labels = {self.meaning[i]: label for i, label in graph.labels.items() if i in self.meaning}
        facts = tuple(replace(f, node=self.meaning[f.node]) for f in graph.facts if f.node in self.meaning)
        lowered = Graph(
            graph.name, tuple(self.nodes), inputs, outputs, graph.sizes, labels, facts, graph.single_output, self.residuals()
        )
        ideal = replace(graph, facts=(*graph.facts, *self.facts, *self.default_facts()))
        return Lowered(lowered, ideal, self.meaning, self.errors, tuple(self.approximations))

    def residuals(self) -> tuple[Residual, ...]:
        out = []
        for r in self.graph.residuals:
            if all(i in self.meaning for i in (r.solution, *r.roots, *r.squares, *r.ones)):
                roots, squares, ones = (tuple(map(self.meaning.__getitem__, k)) for k in (r.roots, r.squares, r.ones))
                out.append(replace(r, solution=self.meaning[r.solution], roots=roots, squares=squares, ones=ones))
        return tuple(out)

    # -- what is needed ------------------------------------------------------------------------------------

    def strategy(self, index: int) -> tuple[str, tuple[int, ...]]:
        """How a positionwise node is made, and the nodes that it is made from."""
        node, formula = self.graph.nodes[index], self.formulas[index]
        signs = [s for s in formula.sources if s in self.signs]
        others = [s for s in formula.sources if s not in self.signs]
        if node.op == "diag" or (node.op == "rowscale" and self.graph.nodes[node.args[1]].op == "eye"):
            return "diagonal", node.args[:1]
        if node.op == "pointwise" and (node.attr.domain is not None or not is_open(node)):
            return "function", node.args
        if node.op in ("rowscale", "hadamard") and self.scaled_source(index) is not None:
            _, z, a = self.scaled_source(index) or ("", 0, 0)
            return "scaled", (z, a)
        if node.op != "rowscale" and len(others) <= 1 and len(signs) <= 1:
            return "formula", (*others, *signs)
        return ("function", node.args) if node.op == "pointwise" else ("product", node.args)

    def scaled_source(self, index: int) -> tuple[int, int, int] | None:
        """(f, z, a) when a product is f(z) times a value a that attention has: one layer of units does both."""
        node = self.graph.nodes[index]
        for f, a in (node.args, node.args[::-1]) if node.op == "hadamard" else (node.args,):
            inner = self.graph.nodes[f]
            if f not in self.formulas or self.positionwise[a] or a in self.signs:
                continue
            if inner.op == "pointwise" and inner.attr.domain is not None and is_open(inner):
                if not self.positionwise[inner.args[0]]:
                    return f, inner.args[0], a
                continue
            sources = self.formulas[f].sources
            single = len(sources) == 1 and sources[0] not in self.signs and not self.positionwise[sources[0]]
            if single and is_linear(self.formulas[f].expression, sources[0]) is None:
                return f, sources[0], a
        return None

    def needed(self) -> set[int]:
        wanted = {o.node for o in self.graph.outputs} | {spec.node for spec in self.graph.inputs}
        wanted |= {fact.node for fact in self.graph.facts}
        wanted |= {i for r in self.graph.residuals for i in (r.solution, *r.roots, *r.squares, *r.ones)}
        for index in range(len(self.graph.nodes) - 1, -1, -1):
            if index in wanted:
                node = self.graph.nodes[index]
                wanted.update(self.strategy(index)[1] if OPS[node.op].role == "positionwise" else node.args)
        return wanted

    # -- ranges --------------------------------------------------------------------------------------------

    def bound(self, index: int) -> None:
        """The ranges of a node of the program, from those of its arguments."""
        node = self.graph.nodes[index]
        shape = shape_of(node, self.sizes)
        for ranges in (self.ranges, self.usual):
            if node.op == "input":
                found = between(shape, -1.0, 1.0) if ranges is self.usual else stated_range(self.graph, index)
                stated = stated_range(self.graph, index)
                ranges[index] = stated if stated.finite else found
                continue
            if OPS[node.op].role == "positionwise":
                found = self.positionwise_range(index, node, shape, ranges)
            else:
                found = algebraic(node, [ranges[arg] for arg in node.args], self.sizes)
            ranges[index] = both(shape, found, stated_range(self.graph, index, ranges))

    def positionwise_range(self, index: int, node: Node, shape: tuple[int, int], ranges: Mapping[int, Range]) -> Range:
        kind, sources = self.strategy(index)
        if kind == "formula" and not sources:
            value, error = number_near(self.formulas[index].expression)
            return between(shape, float(value - error), float(value + error))
        if kind == "formula" and len(sources) == 1 and sources[0] not in self.signs:
            (source,) = sources
            function = of_one(self.formulas[index].expression, source, "f")
            return self.image(function, ranges[source], shape)
        if kind == "formula":
            signs = [s for s in sources if s in self.signs]
            even, odd = parts(self.formulas[index].expression, signs[0])
            pieces = [ranges[s] for s in sources if s not in self.signs]
            images = [
                self.image(of_one(part, sources[0], "f"), pieces[0], shape)
                if as_number(part) is None
                else between(shape, float(as_number(part) or 0), float(as_number(part) or 0))
                for part in (even, odd)
            ]
            reach = max(abs(images[1].lo), abs(images[1].hi))
            return between(shape, images[0].lo - reach, images[0].hi + reach)
        if kind == "function":
            assert node.op == "pointwise"
            inside = ranges[node.args[0]]
            if node.attr.domain is not None:
                lo, hi = map(float, node.attr.domain)
                inside = both(shape, inside, between(shape, lo, hi))
            return self.image(node.attr.function, inside, shape)
        if kind == "scaled":
            f = (self.scaled_source(index) or (0, 0, 0))[0]
            if f not in ranges:
                self.bound(f)
        if kind == "diagonal":
            largest = ranges[sources[0]].size.entry
            found = ranges[sources[0]]
            return between(shape, min(found.lo, 0.0), max(found.hi, 0.0), Size(largest, largest, largest, largest))
        a, b = (ranges[arg] for arg in node.args)
        return product_range(shape, a, b, column=node.op == "rowscale")

    def image(self, function: object, domain: Range, shape: tuple[int, int]) -> Range:
        return between(shape, *image(function, domain.lo, domain.hi))

    # -- nodes ---------------------------------------------------------------------------------------------

    def put(self, node: Node) -> int:
        if node not in self.numbers:
            self.numbers[node] = len(self.nodes)
            self.nodes.append(node)
        return self.numbers[node]

    def made(self, op: str, args: tuple[int, ...], attr: object, shape: Shape, like: int) -> int:
        return self.put(Node(op, args, attr, shape, self.graph.nodes[like].where))

    def lower(self, index: int) -> None:
        node = self.graph.nodes[index]
        if OPS[node.op].role == "positionwise":
            self.lower_positionwise(index, node)
            return
        gram = self.symmetric_product(index, node)
        if gram is not None:
            self.meaning[index] = gram
        else:
            self.meaning[index] = self.put(replace(node, args=tuple(self.meaning[arg] for arg in node.args)))
        self.errors[index] = self.carried_error(index, node)

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

    def carried_error(self, index: int, node: Node) -> Size:
        """The error of a node that is no positionwise function, from those of its arguments."""
        shape = shape_of(node, self.sizes)
        errors = [self.errors[arg] for arg in node.args]
        if not errors or not any(e.entry for e in errors):
            return _ZERO
        if node.op == "add":
            return size(shape, *_tuple(added(*errors)))
        if node.op == "scale":
            return scaled(errors[0], float(node.attr))
        if node.op == "transpose":
            return flipped(errors[0])
        if node.op == "matmul":
            a, b = (self.usual[arg].size for arg in node.args)
            return size(
                shape, *_tuple(added(multiplied(shape, errors[0], b), multiplied(shape, added(a, errors[0]), errors[1])))
            )
        return size(shape, *_tuple(errors[0]))

    def lower_positionwise(self, index: int, node: Node) -> None:
        kind, sources = self.strategy(index)
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
            self.meaning[index] = self.made("scale", (self.ones(index),), value, node.shape, index)
            self.errors[index] = size(shape_of(node, self.sizes), up(float(bound))) if bound else _ZERO
            return
        line = is_linear(expression, others[0]) if not signs else None
        if line is not None:
            self.lower_line(index, node, others[0], *line)
            return
        if not signs:
            self.lower_function(index, node, of_one(expression, others[0], show(self.graph, expression)), others[0])
            return
        even, odd = parts(expression, signs[0])
        y, terms, error = signs[0], [], _ZERO
        for part, gates in ((even, False), (odd, True)):
            number = as_number(part)
            if number is not None:
                if number:
                    base = self.meaning[y] if gates else self.ones(index)
                    terms.append(base if number == 1 else self.made("scale", (base,), number, node.shape, index))
                continue
            line = is_linear(part, others[0])
            if line is not None and not gates:
                self.lower_line(index, node, others[0], *line)
                terms.append(self.meaning[index])
                error = added(error, self.errors[index])
                continue
            if line is not None:
                terms += self.signed_line(index, node, others[0], y, *line)
                error = added(error, scaled(self.errors[others[0]], float(line[0])))
                continue
            function = of_one(part, others[0], show(self.graph, part))
            term, extra = self.fitted(index, node, function, others[0], y if gates else None)
            terms.append(term)
            error = added(error, extra)
        total = terms[0]
        for term in terms[1:]:
            total = self.made("add", (total, term), None, node.shape, index)
        self.meaning[index], self.errors[index] = total, error

    def lower_line(self, index: int, node: Node, source: int, slope: Fraction, offset: Fraction) -> None:
        """slope · source + offset needs no unit."""
        total = self.meaning[source]
        if slope != 1:
            total = self.made("scale", (total,), slope, node.shape, index)
        if offset:
            level = self.made("scale", (self.ones(index),), offset, node.shape, index)
            total = self.made("add", (total, level), None, node.shape, index)
        self.meaning[index], self.errors[index] = total, scaled(self.errors[source], float(slope))

    def signed_line(self, index: int, node: Node, source: int, sign: int, slope: Fraction, offset: Fraction) -> list[int]:
        """sign · (slope · source + offset), exactly: biases are no larger than the values are."""
        self.demand_range(index, node, source)
        reach = max(abs(self.usual[source].lo), abs(self.usual[source].hi)) + self.errors[source].entry
        args = (self.meaning[source], self.meaning[sign])
        terms = [(self.units(index, gate(Fraction(up(reach)), signs=True), args), slope), (self.meaning[sign], offset)]
        return [x if c == 1 else self.made("scale", (x,), c, node.shape, index) for x, c in terms if c]

    def ones(self, index: int) -> int:
        rows, cols = self.graph.nodes[index].shape
        column = self.made("ones", (), None, (rows, 1), index)
        if cols == 1:
            return column
        row = self.made("transpose", (self.made("ones", (), None, (cols, 1), index),), None, (1, cols), index)
        return self.made("matmul", (column, row), None, (rows, cols), index)

    def lower_function(self, index: int, node: Node, function: object, source: int) -> None:
        self.meaning[index], self.errors[index] = self.fitted(index, node, function, source, None)

    def fitted(self, index: int, node: Node, function: object, source: int, sign: int | None) -> tuple[int, Size]:
        """Units for a function of one node, times a sign where one is given, and their error."""
        stated, usual = self.ranges[source], self.usual[source]
        domain = node.attr.domain if node.op == "pointwise" and self.strategy(index)[0] == "function" else None
        tol = node.attr.tol if node.op == "pointwise" and node.attr.tol is not None else self.tolerance(index)
        if domain is not None:
            self.stay_inside(source, node)
        fit = fit_function(function, domain, stated, usual, tol, self.graph.describe(source), node.where)
        if fit.assumed:
            self.assumed.add(source)
        error = self.errors[source]
        most = max(abs(usual.lo), abs(usual.hi)) + error.entry
        reach = Fraction(most) if most < float("inf") else None
        table = fit.units if sign is None else gated(fit, reach, self.graph.describe(index), node.where)
        args = (self.meaning[source],) if sign is None else (self.meaning[source], self.meaning[sign])
        made = self.units(index, table, args)
        self.record(made, index, "function", fit, (fit.domain,))
        shape = shape_of(node, self.sizes)
        slope, bound = float(fit.steepest), self.bounds.get(index, fit.bound)
        grown = size(shape, *(x if not x else up(x * up(slope)) for x in (error.entry, error.row, error.col)))
        return made, size(shape, *_tuple(added(size(shape, up(float(bound))) if bound else _ZERO, grown)))

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
        reach = self.usual[source].size.entry + self.errors[source].entry
        self.demand_range(index, node, source)
        eye = self.made("eye", (), None, node.shape, index)
        self.meaning[index] = self.units(index, gate(Fraction(up(reach))), (self.meaning[source], eye))
        entry = self.errors[source].entry
        self.errors[index] = Size(entry, entry, entry, entry)

    def demand_range(self, index: int, node: Node, source: int) -> None:
        if not self.usual[source].finite:
            raise ArchitectureError(
                f"no bound is known of {self.graph.describe(source)}, a factor of {self.graph.describe(index)}",
                where=node.where,
                rule="feed-forward units multiply two numbers of a token only within bounds",
                fix="state one with hw.bounded(value, within=(lo, hi)), or apply a function that is bounded",
            )
        if not self.ranges[source].finite:
            self.assumed.add(source)

    def lower_scaled(self, index: int, node: Node) -> bool:
        """f(z) · a in one layer; False where f is not smooth enough."""
        f, z, a = self.scaled_source(index) or (0, 0, 0)
        inner, shape = self.graph.nodes[f], shape_of(node, self.sizes)
        stated = inner.op == "pointwise" and inner.attr.domain is not None
        formula = self.formulas[f].expression
        function = inner.attr.function if stated else of_one(formula, z, show(self.graph, formula))
        for source in (z, a):
            if source != z or not stated:
                self.demand_range(index, node, source)
        if stated:
            self.stay_inside(z, inner)
        # a domain that the program gives holds for the network's own values too: each run checks it
        slack = Fraction(0) if stated else Fraction(self.errors[z].entry)
        low, high = inner.attr.domain if stated else (Fraction(self.usual[z].lo), Fraction(self.usual[z].hi))
        if high - low + 2 * slack > _WIDEST:
            return False
        reach = Fraction(up(self.usual[a].size.entry + self.errors[a].entry))
        tol = inner.attr.tol * reach if inner.op == "pointwise" and inner.attr.tol is not None else self.tolerance(index)
        text = f"{function.name} · {self.graph.describe(a)}"
        fit = fit_scaled(function, (low - slack, high + slack), (-reach, reach), tol, text, node.where)
        if fit is None:
            return False
        made = self.units(index, fit.units, (self.meaning[z], self.meaning[a]))
        self.record(made, index, "scaled", fit, ((low - slack, high + slack), (-reach, reach)))
        bound = self.bounds.get(index, fit.bound)
        moved = scaled(self.errors[z], float(fit.steepest)) if self.errors[z].entry else _ZERO
        column = node.op == "rowscale"
        # f̂(ẑ, â) − f(z) a = [f̂(ẑ, â) − f(ẑ) â] + [f(ẑ) − f(z)] â + f(z) (â − a)
        error = added(
            entrywise(shape, moved, added(self.usual[a].size, self.errors[a]), column),
            entrywise(shape, self.usual[f].size, self.errors[a], column),
        )
        own = size(shape, up(float(bound))) if bound else _ZERO
        self.meaning[index], self.errors[index] = made, size(shape, *_tuple(added(own, error)))
        return True

    def stay_inside(self, source: int, node: Node) -> None:
        """Notes that a value has to stay inside the domain that the program gives, unless that follows."""
        lo, hi = node.attr.domain
        usual, stated = self.usual[source], self.ranges[source]
        if not (lo <= usual.lo and usual.hi <= hi):
            fix = f"give hw.apply a domain that contains the data, or bound {self.graph.describe(source)}"
            self.facts.append(Fact("within", source, node.where, (float(lo), float(hi)), fix))
        elif not (lo <= stated.lo and stated.hi <= hi):
            self.assumed.add(source)  # it is inside because of what is assumed of inputs

    def lower_product(self, index: int, node: Node) -> None:
        """The entrywise product of two values of a token, by two squares; exact where one is a sign."""
        a, b = node.args
        for factor, other in ((a, b), (b, a)):  # a factor that turned out to be a number
            formula = self.formulas.get(factor)
            number = None if formula is None or formula.sources else as_number(formula.expression)
            if number is not None and self.graph.nodes[other].shape == node.shape:
                self.lower_line(index, node, other, number, Fraction(0))
                return
        sign = next((x for x in (a, b) if x in self.signs), None)
        shape, column = shape_of(node, self.sizes), node.op == "rowscale"
        for source in (a, b):
            self.demand_range(index, node, source)
        (ea, eb), (ra, rb) = (self.errors[a], self.errors[b]), (self.usual[a], self.usual[b])
        wide = [(Fraction(r.lo) - Fraction(e.entry), Fraction(r.hi) + Fraction(e.entry)) for r, e in ((ra, ea), (rb, eb))]
        if sign is not None:
            first, second = (b, a) if sign == a else (a, b)
            reach = max(map(abs, wide[1 if sign == a else 0]))
            table, bound = gate(reach, signs=True), Fraction(0)
            made = self.units(index, table, (self.meaning[first], self.meaning[second]))
        else:
            fit = fit_product(wide[0], wide[1], self.tolerance(index), show(self.graph, self.formulas[index].expression))
            made, bound = self.units(index, fit.units, (self.meaning[a], self.meaning[b])), self.bounds.get(index, fit.bound)
            self.record(made, index, "product", fit, tuple(wide))
        own = size(shape, up(float(bound))) if bound else _ZERO
        error = added(entrywise(shape, ea, rb.size, column), entrywise(shape, added(ra.size, ea), eb, column))
        self.meaning[index], self.errors[index] = made, size(shape, *_tuple(added(own, error)))

    # -- what is assumed -----------------------------------------------------------------------------------

    def default_facts(self) -> list[Fact]:
        """Entries in [−1, 1], for every input above a node whose usual range was relied upon and of which nothing is stated."""
        above = set(self.assumed)
        for index in range(len(self.graph.nodes) - 1, -1, -1):
            if index in above:
                above.update(self.graph.nodes[index].args)
        fix = "state how large it is in the program: hw.bounded({0}, within=(lo, hi))"
        return [
            Fact("within", s.node, self.graph.nodes[s.node].where, (-1.0, 1.0), fix.format(s.name))
            for s in self.graph.inputs
            if s.node in above and not self.ranges[s.node].finite
        ]


#: On wider ranges of z, f(z) a takes two layers: the fit of one would need a long time.
_WIDEST = 64

_ZERO = Size(0.0, 0.0, 0.0, 0.0)


def _tuple(found: Size) -> tuple[float, float, float, float]:
    return found.entry, found.row, found.col, found.norm

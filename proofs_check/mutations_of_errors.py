"""Wrong errors made from right ones: the bounds, hypotheses, lines and fits that program.json states.

Of the files only the independent checker goes by these, so it alone is shown what is changed here (`hw.verify` derives its
errors from the program). Some changes are made with all that follows from them, as somebody would who knows the rules: then
one place is wrong, and the rest fits.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from math import inf
from types import SimpleNamespace
from typing import Any

from ..compiler.dims import size_of
from . import checker, error_checker
from .mutations import Claimed, Family, Mutant

_Change = tuple[str, str, Callable[[Any], None]]

#: Kinds of changes of program.json that the report counts by themselves.
BOUND, LINE, FOLLOWED = "stated error shrunk", "stated line changed", "stated line false, the rest follows"
RULE, HYPOTHESIS = "stated rule changed", "stated hypothesis changed"
FIT, LOOSER = "stated fit changed", "stated more loosely"
STATED = (BOUND, LINE, FOLLOWED, RULE, HYPOTHESIS, FIT, LOOSER)

_TRUE = "what is stated follows"
_SMALLER = Fraction(999, 1000)
_SIZES = ("entries", "rows", "columns", "norm")


def stated_families(claimed: Claimed, program: Mapping[str, Any]) -> list[Family]:
    """Changes of what program.json states under `errors` and `fit`; none for programs without."""
    kinds: dict[str, list[_Change]] = {}
    for change in (*_errors(program), *_fits(program)):
        kinds.setdefault(change[0], []).append(change)

    def family(kind: str, changes: list[_Change]) -> Family:
        def make(index: int) -> Mutant | None:
            _, place, change = changes[index]
            changed = copy.deepcopy(dict(program))
            try:
                change(changed)
            except (checker.Refused, OverflowError):  # nothing follows from it
                return None
            return None if changed == program else Mutant(kind, place, replace(claimed, stated=changed))

        return Family(kind, len(changes), make)

    return [family(kind, changes) for kind, changes in kinds.items()]


def times(text: str, factor: Fraction) -> str:
    return str(Fraction(text) * factor)


# -- errors ----------------------------------------------------------------------------------------------------------------


def _errors(program: Mapping[str, Any]) -> Iterator[_Change]:
    claim = program.get("errors")
    if claim:
        yield from _bounds(claim)
        yield from _lines(claim)
        yield from _hypotheses(program, claim)


def _bounds(claim: Mapping[str, Any]) -> Iterator[_Change]:
    """Errors of outputs. They are rounded up to four digits, so that a hundredth less is less than what follows."""
    names = list(claim["outputs"])

    def put(name: str, value: str) -> Callable[[Any], None]:
        return lambda p: p["errors"]["outputs"].update({name: value})

    for name, bound in claim["outputs"].items():
        if Fraction(bound):
            yield BOUND, f"{name} within 99/100 of that", put(name, times(bound, Fraction(99, 100)))
            yield BOUND, f"{name} within half of that", put(name, times(bound, Fraction(1, 2)))
            yield BOUND, f"{name} exact", put(name, "0")
        yield LOOSER, f"{name} within twice that", put(name, times(bound, Fraction(2)) if Fraction(bound) else "1")
        yield BOUND, f"{name} not stated", _without("errors", "outputs", name)
        other = names[names.index(name) - 1]
        yield BOUND, f"{name} within the error of {other}", put(name, times(claim["outputs"][other], _SMALLER))


def _lines(claim: Mapping[str, Any]) -> Iterator[_Change]:
    lines = claim["lines"]
    for k, line in enumerate(lines):
        for what in ("size", "error"):
            for i, text in enumerate(line[what]):
                place = f"line {k}: {what} of {_SIZES[i]}"
                if text is None:
                    yield LINE, f"{place} known", _figure(k, what, i, "1")
                elif Fraction(text):
                    yield LINE, f"{place} smaller by a thousandth", _figure(k, what, i, times(text, _SMALLER))
                    yield LINE, f"{place} nothing", _figure(k, what, i, "0")
                    yield FOLLOWED, f"{place} halved", _followed(k, what, i, times(text, Fraction(1, 2)))
        for i, text in enumerate(line["range"]):
            if text is None:
                yield LINE, f"line {k}: an end of its range known", _figure(k, "range", i, ("-1", "1")[i])
            elif Fraction(text):
                inward = _SMALLER if (Fraction(text) > 0) == (i == 1) else 1 / _SMALLER
                yield LINE, f"line {k}: its range smaller by a thousandth", _figure(k, "range", i, times(text, inward))
                yield FOLLOWED, f"line {k}: an end of its range nearer", _followed(k, "range", i, times(text, inward))
        for rule in error_checker.RULES:
            if rule != line["rule"]:
                yield RULE, f"line {k}: {rule} instead of {line['rule']}", _rule(k, rule)
        yield LINE, f"line {k} missing", _without("errors", "lines", k)
        yield LINE, f"line {k} twice", _twice(k)
        if k:
            yield LINE, f"lines {k - 1} and {k} exchanged", _exchanged(k)


def _figure(k: int, what: str, i: int, text: str) -> Callable[[Any], None]:
    def change(program: Any) -> None:
        program["errors"]["lines"][k][what][i] = text

    return change


def _without(*path: Any) -> Callable[[Any], None]:
    """Drops the last of the path."""

    def change(program: Any) -> None:
        for key in path[:-1]:
            program = program[key]
        program.pop(path[-1])

    return change


def _twice(k: int) -> Callable[[Any], None]:
    def change(program: Any) -> None:
        lines = program["errors"]["lines"]
        lines.insert(k, lines[k])

    return change


def _rule(k: int, rule: str) -> Callable[[Any], None]:
    return lambda program: program["errors"]["lines"][k].update(rule=rule)


def _exchanged(k: int) -> Callable[[Any], None]:
    def change(program: Any) -> None:
        lines = program["errors"]["lines"]
        lines[k - 1], lines[k] = lines[k], lines[k - 1]

    return change


def _followed(k: int, what: str, i: int, text: str) -> Callable[[Any], None]:
    """One figure of line k, and the lines after it and the outputs made anew from what it says."""

    def change(program: Any) -> None:
        _figure(k, what, i, text)(program)
        follow(program, keep=k + 1)

    return change


def follow(program: Any, keep: int = 0, outputs: bool = True) -> None:
    """Makes the lines from number `keep` on follow from those before, and `outputs` from the lines. Where `outputs` stay as
    they were and still follow, nothing false is stated: raises Refused."""
    claim = program["errors"]
    shapes = [tuple(size_of(dim, program["sizes"]) for dim in node["shape"]) for node in program["nodes"]]
    model = SimpleNamespace(nodes=program["nodes"], shapes=shapes, program=program)
    lines: list[Any] = []
    for k, line in enumerate(claim["lines"]):
        found = error_checker.derived(checker, model, k, lines, line["rule"])
        if k >= keep:
            line["range"] = [None if abs(end) == inf else str(end) for end in (found.lo, found.hi)]
            line |= {w: [None if x == inf else str(x) for x in getattr(found, w)] for w in ("size", "error")}
        lines.append(error_checker.read(checker, line, found.values))
    errors = {place["name"]: lines[place["node"]].error[0] for place in program["outputs"]}
    if outputs:
        claim["outputs"] = {name: str(error) if error < inf else "1" for name, error in errors.items()}
    else:
        checker.need(any(error > Fraction(claim["outputs"][name]) for name, error in errors.items()), _TRUE)


def _hypotheses(program: Mapping[str, Any], claim: Mapping[str, Any]) -> Iterator[_Change]:
    """What is stated of the data: wider, of another kind, of another node, or not stated; some with the lines that follow from
    it, but errors of outputs as they were. Where these follow without the hypothesis, nothing said of it would be false."""

    def put(i: int, changes: Mapping[str, Any], followed: bool = False) -> Callable[[Any], None]:
        def change(changed: Any) -> None:
            changed["errors"]["given"][i].update(changes)
            if followed:
                follow(changed, outputs=False)

        return change

    def without(i: int, followed: bool = False) -> Callable[[Any], None]:
        def change(changed: Any) -> None:
            changed["errors"]["given"].pop(i)
            if followed:
                follow(changed, outputs=False)

        return change

    for i, given in enumerate(claim["given"]):
        if _needless(program, without(i, followed=True)):
            continue
        name = f"{given['kind']} of node {given['node']}"
        low, high = Fraction(given["from"]), Fraction(given["to"])
        span = high - low or Fraction(1)
        yield HYPOTHESIS, f"{name} not stated", without(i)
        yield HYPOTHESIS, f"{name} not stated, the lines follow", without(i, followed=True)
        for factor in (Fraction(1, 100), Fraction(1)):
            for key, value in (("from", low - span * factor), ("to", high + span * factor)):
                if key == "to" or given["kind"] in ("within", "eigenvalues"):
                    yield HYPOTHESIS, f"{name} wider: {key} {value}", put(i, {key: str(value)})
                    yield HYPOTHESIS, f"{name} wider: {key} {value}, the lines follow", put(i, {key: str(value)}, True)
        for kind in error_checker.KINDS:
            if kind != given["kind"]:
                yield HYPOTHESIS, f"{name} are {kind}", put(i, {"kind": kind})
        for node in range(len(program["nodes"])):
            if node != given["node"]:
                yield HYPOTHESIS, f"{name} said of node {node}", put(i, {"node": node})
        if given["kind"] != "signs":
            yield LOOSER, f"{name} up to {high - span / 4} only", put(i, {"to": str(high - span / 4)})


def _needless(program: Mapping[str, Any], drop: Callable[[Any], None]) -> bool:
    try:
        drop(copy.deepcopy(dict(program)))
    except checker.Refused as reason:
        return str(reason) == _TRUE
    except OverflowError:
        pass
    return False


# -- fits ------------------------------------------------------------------------------------------------------------------


def _fits(program: Mapping[str, Any]) -> Iterator[_Change]:
    """A smaller bound, a larger domain, another function, a second kind; a larger bound, on which no line is built."""

    def put(k: int, **changes: Any) -> Callable[[Any], None]:
        return lambda p: p["nodes"][k]["fit"].update(changes)

    for k, node in enumerate(program["nodes"]):
        fit = node.get("fit")
        if not fit:
            continue
        name = f"the fit of node {k}"
        yield FIT, f"{name} not stated", _without("nodes", k, "fit")
        for factor in (Fraction(1, 2), Fraction(2)):
            yield FIT, f"{name}: {factor} of its bound", put(k, bound=times(fit["bound"], factor))
        for key in ("z", "y"):
            if key in fit:
                low, high = map(Fraction, fit[key])
                for share in (Fraction(-1, 4), Fraction(1, 2)):
                    wide = [str(low - share * (high - low)), str(high + share * (high - low))]
                    yield FIT, f"{name}: {key} in {wide}", put(k, **{key: wide})
        yield FIT, f"{name}: its function plus 1/10", put(k, function=["Add", "1/10", fit["function"]])
        yield FIT, f"{name}: its function times 11/10", put(k, function=["Mul", "11/10", fit["function"]])
        if "values" in fit:
            yield FIT, f"{name} for no value", put(k, values=[])
            yield FIT, f"{name} for half", put(k, values=["1/2"])
            yield FIT, f"{name} as a product too", put(k, y=["-1", "1"], split=["0", fit["bound"]])
        else:
            yield FIT, f"{name} for the value 0 too", put(k, values=["0"])
        for i in range(len(fit.get("steps", ()))):
            for j, part in enumerate(("step", "weight", "slope", "constant", "error")):

                def change(changed: Any, k: int = k, i: int = i, j: int = j) -> None:
                    step = changed["nodes"][k]["fit"]["steps"][i]
                    step[j] = times(step[j], Fraction(3, 4)) if Fraction(step[j]) else "1/10"

                yield FIT, f"{name}: {part} of step {i + 1}", change


# -- what is true still ----------------------------------------------------------------------------------------------------


def weaker(new: Mapping[str, Any], old: Mapping[str, Any]) -> str:
    """Why what `new` states is true where `old` is; empty where that is not seen. Rules and lines are steps of a proof and
    state nothing; nor does it matter what is supposed of a node that meets nothing but sums: it has no part in errors."""
    rest = [{**p, "nodes": [{**node, "fit": None} for node in p["nodes"]], "errors": None} for p in (new, old)]
    if rest[0] != rest[1] or not all(_weaker_fit(a, b) for a, b in zip(new["nodes"], old["nodes"], strict=True)):
        return ""
    ours, theirs = new.get("errors"), old.get("errors")
    if ours:
        if not theirs or ours["outputs"].keys() != theirs["outputs"].keys():
            return ""
        if any(Fraction(ours["outputs"][name]) < Fraction(bound) for name, bound in theirs["outputs"].items()):
            return ""
        used = [g for g in theirs["given"] if not _only_added(old["nodes"], g["node"])]
        if not all(any(_implies(a, b) for a in ours["given"]) for b in used):
            return ""
    return "larger bounds, of fewer data"


def _only_added(nodes: Any, node: int) -> bool:
    """Whether all that depends on the node is sums, multiples and arrangements of it and of other things."""
    reached = {node}
    for k, other in enumerate(nodes):
        if reached & set(other["args"]):
            if other["op"] in ("matmul", "units"):
                return False
            reached.add(k)
    return True


def _weaker_fit(node: Any, before: Any) -> bool:
    """A larger bound on a smaller domain; hints of its proof state nothing, nor do values of an argument that is not there."""
    new, old = node.get("fit"), before.get("fit")
    if not new or not old:
        return not new and not old  # without a fit the ideal program is another one
    same = new["function"] == old["function"] and new.keys() == old.keys()
    same &= new.get("values") == old.get("values") or (len(node["args"]) == 1 and bool(new["values"]))
    return same and Fraction(new["bound"]) >= Fraction(old["bound"]) and all(
        _inside(new[key], old[key]) for key in ("z", "y") if key in old
    )  # fmt: skip


def _implies(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    if new["node"] != old["node"]:
        return False
    largest = max(abs(Fraction(new["from"])), abs(Fraction(new["to"])))
    if old["kind"] == "within" and new["kind"] in ("signs", "rows", "norm", "eigenvalues"):  # no entry is above any of them
        return _inside((-largest, largest), (old["from"], old["to"]))
    if old["kind"] == "rows" and new["kind"] in ("rows", "norm", "eigenvalues"):
        return largest <= Fraction(old["to"])
    if new["kind"] != old["kind"]:
        return False
    if old["kind"] == "norm":
        return largest <= Fraction(old["to"])
    return _inside((new["from"], new["to"]), (old["from"], old["to"]))


def _inside(new: Any, old: Any) -> bool:
    return Fraction(new[0]) >= Fraction(old[0]) and Fraction(new[1]) <= Fraction(old[1])

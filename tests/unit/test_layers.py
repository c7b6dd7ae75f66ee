"""The layer rule of the design: who may import whom, no cycles, and no module too long to read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import headwright

ROOT = Path(headwright.__file__).resolve().parent
PACKAGES = ("compiler", "constructions", "runtime", "proofs_check")
MODULES = {  # a package inside a package, such as constructions.iterations, is a module too: its __init__ re-exports
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}


def imports(name: str, everywhere: bool = False) -> set[str]:
    """Our modules that a module imports when it is loaded (or, `everywhere`, at any time, types included)."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            guarded = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            if not everywhere and (guarded or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))):
                continue
            if isinstance(child, ast.ImportFrom):
                found.update(targets(name, child))
            elif isinstance(child, ast.Import):
                found.update(a.name.removeprefix("headwright.") for a in child.names if a.name.startswith("headwright."))
            visit(child)

    visit(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    return found


def targets(name: str, node: ast.ImportFrom) -> set[str]:
    if node.level == 0:
        if not (node.module or "").startswith("headwright"):
            return set()
        base = (node.module or "").split(".")[1:]
    else:
        own = name.split(".") + (["__init__"] if MODULES[name].name == "__init__.py" else [])
        base = own[: -node.level] + (node.module.split(".") if node.module else [])
    joined = ".".join(base)
    if joined in MODULES:
        return {joined}
    return {dotted if (dotted := ".".join([*base, a.name])) in MODULES else joined or a.name for a in node.names}


def test_the_import_reader_sees_what_it_must() -> None:
    assert {"compiler.allocate", "compiler.merge", "compiler.graph"} <= imports("compiler.pipeline")
    assert "compiler.weights" in imports("runtime.structured")
    assert {"constructions.iterations", "compiler.statements"} <= imports("constructions.polar")
    own = {f"constructions.iterations.{name}" for name in ("base", "choice", "library")}
    assert imports("constructions.iterations") == own
    assert {"constructions.iterations.recurrence", "proofs_check.ranges"} <= imports("constructions.iterations.cubic")


@pytest.mark.parametrize("name", [m for m in MODULES if m.startswith("compiler.")])
def test_the_compiler_imports_nothing_outside_itself(name: str) -> None:
    outside = {m for m in imports(name, everywhere=True) if not m.startswith("compiler")}
    assert not outside, f"{name} imports {outside}"


@pytest.mark.parametrize("name", [m for m in MODULES if m.startswith("proofs_check.")])
def test_proofs_import_neither_the_runtime_nor_the_constructions(name: str) -> None:
    outside = {m for m in imports(name, everywhere=True) if m.startswith(("runtime", "constructions"))}
    assert not outside, f"{name} imports {outside}"


@pytest.mark.parametrize("name", [m for m in MODULES if m.startswith("compiler.approximate.")])
def test_approximation_needs_nothing_of_the_compiler_but_its_errors(name: str) -> None:
    outside = {m for m in imports(name, everywhere=True) if not m.startswith("compiler.approximate")}
    assert outside <= {"compiler.errors"}, f"{name} imports {outside}"


def test_the_torch_definition_imports_nothing_of_ours() -> None:
    assert imports("runtime.model", everywhere=True) == set()


def test_the_outside_evaluator_imports_nothing_of_ours() -> None:
    assert imports("runtime.outside", everywhere=True) == set()


def test_the_structured_runtime_knows_weights_only() -> None:
    known = {"compiler.weights", "compiler.dims", "runtime.widths", "runtime.model"}
    assert imports("runtime.structured", everywhere=True) <= known


def test_the_proof_trusts_none_of_the_passes_that_it_checks() -> None:
    passes = {f"compiler.{p}" for p in ("select", "place", "schedule", "allocate", "merge", "pipeline", "hints", "ir")}
    for name in ("proofs_check.symbolic", "proofs_check.exact", "proofs_check.verify"):
        assert not imports(name, everywhere=True) & passes


@pytest.mark.parametrize(
    "name", [m for m in MODULES if m.startswith("constructions.iterations") and not m.endswith(".measure")]
)
def test_iterations_import_neither_the_runtime_nor_the_constructions_made_of_them(name: str) -> None:
    outside = {m for m in imports(name, everywhere=True) if m.startswith(("runtime", "constructions"))}
    assert all(m.startswith("constructions.iterations") for m in outside), f"{name} imports {outside}"


def test_there_are_no_import_cycles() -> None:
    edges = {name: imports(name) & MODULES.keys() for name in MODULES}
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join([*path, name])
        if name not in done:
            for target in sorted(edges[name]):
                walk(target, (*path, name))
            done.add(name)

    for name in MODULES:
        walk(name, ())


@pytest.mark.parametrize("name", MODULES)
def test_no_module_has_more_than_400_lines(name: str) -> None:
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 400

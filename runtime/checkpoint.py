"""Saved models: a folder of plain text that is complete and unaltered, or refused.

    model.json     the program's graph, the architecture, the exact weights, where inputs go and outputs are read
    program.json, weights.json, weights.safetensors, certificate.json
                   the same for other programs: what `proofs_check/checker.py` reads, and nothing else (see `normal_form`)
    README.txt     what this is and how to run it
    manifest.json  the format version, size and SHA-256 of the other files, and a SHA-256 of its own entries

The hashes find accidents (a cut transfer, a flipped bit, an edit); they are no signature. Nothing in a folder is
executed when it is loaded. Whether the weights compute the program is what `headwright verify FOLDER` proves.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..compiler.artifact import Artifact
from ..compiler.errors import HeadwrightError, ModelFolderError
from ..compiler.graph import check_graph
from ..compiler.weights import LayerWeights
from ..proofs_check.bounds import Bounds
from ..proofs_check.newton_model import NewtonTheory
from . import atomic
from .codec import from_json, to_json
from .compiled import Compiled
from .normal_form import CERTIFICATE, EXACT, PROGRAM, WEIGHTS, checked_files, dump, stated_claims

FORMAT = "headwright model"
VERSION = 4
MODEL, README, MANIFEST = "model.json", "README.txt", "manifest.json"
CHECKED = (PROGRAM, EXACT, WEIGHTS, CERTIFICATE)
_OURS = "pass a folder made by `headwright compile`"
_AGAIN = "compile the model again, or copy the folder again from its source"


def save(model: Compiled, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Writes the model to the folder `path` and returns it. The folder is complete or absent at every moment.

    overwrite: replace an earlier model folder. Raises ModelFolderError when `path` exists and may not be replaced, when its
    parent does not exist or cannot be written, or when the program applies a Python function that is no expression.
    """
    target = Path(os.path.abspath(path))
    check_target(target, overwrite)
    try:
        contents = _contents(model, target.name)
    except TypeError as error:
        fix = "write the function with + − × ÷ ** and sympy functions, so that it is an expression"
        raise ModelFolderError(f"{model.name} cannot be saved: {error}", fix=fix) from error
    contents[MANIFEST] = _manifest(contents)
    try:
        with atomic.temporary_folder(target) as folder:
            for name, content in contents.items():
                with open(folder / name, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            atomic.sync_folder(folder)
            _put(folder, target, overwrite)
        atomic.sync_folder(target.parent)
    except OSError as error:
        what = f"{target} cannot be written: {error.strerror or error}"
        raise ModelFolderError(what, fix="choose another folder with -o") from error
    return target


def restate(model: Path, path: Path, program: Mapping[str, Any]) -> Path:
    """The folder `model` with another program.json, in the new folder `path`: the statements that follow from it, hashes that
    fit. `load` refuses it. For `headwright mutate`, in a folder of its own; raises what the checker raises where no statement
    follows."""
    names = (MODEL, README, *CHECKED)
    contents = {name: (model / name).read_bytes() for name in names} | {PROGRAM: dump(program)}
    contents[CERTIFICATE] = dump({**json.loads(contents[CERTIFICATE]), "claims": stated_claims(contents)})
    contents[MANIFEST] = _manifest(contents)
    path.mkdir()
    for name, content in contents.items():
        (path / name).write_bytes(content)
    return path


def load(path: str | os.PathLike[str]) -> Compiled:
    """Reads a model folder. The model runs, verifies and explains as the saved one did; its artifact is equal.

    Raises ModelFolderError naming the file, the problem and the fix for a folder that is incomplete, cut short,
    altered, of another format version, or not a model folder.
    """
    folder = Path(path)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        aside = atomic.leftovers(Path(os.path.abspath(folder)), "old")
        fix = "make one with `headwright compile NAME -o DIR`"
        if aside:
            fix = f"an overwrite was interrupted: rename {aside[-1]} to {folder}"
        raise ModelFolderError(f"{folder} {what}: expected a model folder", fix=fix)
    listed = _read_manifest(folder)
    contents = {name: _read(folder, name, entry) for name, entry in listed.items()}
    try:
        data = json.loads(contents[MODEL])
        model = _from_dict(data)
        expected = checked_files(model)
    except HeadwrightError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, RecursionError) as error:
        raise ModelFolderError(f"{folder / MODEL} does not describe a model: {error}", fix=_AGAIN) from error
    for name, data in expected.items():
        if contents.get(name) != data:
            raise ModelFolderError(f"{folder / name} does not belong to {MODEL}: it follows from it, and differs", fix=_AGAIN)
    return model


def is_model_folder(path: str | os.PathLike[str]) -> bool:
    """Whether the folder says that it is one of ours (complete or not)."""
    try:
        with open(Path(path) / MANIFEST, "rb") as file:
            return json.dumps(FORMAT).encode() in file.read(200)
    except OSError:
        return False


# -- the target ----------------------------------------------------------------------------------------------------


def check_target(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Raises ModelFolderError when a save to `path` would be refused."""
    target = Path(os.path.abspath(path))
    if not target.parent.is_dir():
        raise ModelFolderError(f"{target.parent} is not a folder", fix=f"create it first: mkdir -p {target.parent}")
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not target.is_dir():
        what = "a symbolic link" if target.is_symlink() else "a file"
        raise ModelFolderError(f"{target} is {what}: a model folder cannot replace it", fix="choose another name")
    others = sorted(set(os.listdir(target)) - {MODEL, README, MANIFEST, *CHECKED})
    if not is_model_folder(target) or others:
        what = f"holds other files ({', '.join(others[:3])})" if others else "is not a model folder"
        rule = "only model folders are ever replaced"
        raise ModelFolderError(f"{target} exists and {what}", rule=rule, fix="choose another name")
    if not overwrite:
        raise ModelFolderError(f"{target} exists", fix="choose another name, or replace it with overwrite=True (--force)")


def _put(folder: Path, target: Path, overwrite: bool) -> None:
    """Renames the finished folder to its place; a model that was there is moved aside first and deleted last."""
    check_target(target, overwrite)
    aside = atomic.temporary_name(target, "old")
    moved = target.exists()
    try:
        if moved:
            os.rename(target, aside)
        os.rename(folder, target)
    except BaseException:
        if moved and aside.exists() and not target.exists():
            with contextlib.suppress(OSError):
                os.rename(aside, target)
        raise
    for old in atomic.leftovers(target, "old"):
        shutil.rmtree(old, ignore_errors=True)


# -- files and hashes ----------------------------------------------------------------------------------------------


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _manifest(contents: Mapping[str, bytes]) -> bytes:
    entries: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "files": {name: {"bytes": len(data), "sha256": _digest(data)} for name, data in contents.items()},
    }
    return dump({**entries, "sha256": _digest(dump(entries))})


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not any((folder / name).exists() for name in (MODEL, README, MANIFEST)):
        raise ModelFolderError(f"{folder} is not a model folder: it has no {MANIFEST}", fix=_OURS)
    data = _bytes(path, "the folder is incomplete: it is missing")
    try:
        manifest = json.loads(data)
        entries = {key: manifest[key] for key in manifest if key != "sha256"}
        ours, version, digest = entries["format"], entries["version"], manifest["sha256"]
    except (ValueError, TypeError, KeyError) as error:
        raise ModelFolderError(f"{path} is cut short or not a manifest ({type(error).__name__})", fix=_AGAIN) from error
    if ours != FORMAT:
        raise ModelFolderError(f"{path} has format {ours!r}: expected {FORMAT!r}", fix=_OURS)
    if version != VERSION:
        fix = "install a newer headwright, or compile the model again with this one"
        raise ModelFolderError(f"{path} has format version {version!r}: this headwright reads version {VERSION}", fix=fix)
    if digest != _digest(dump(entries)) or data != dump(manifest) or not {MODEL, README} <= set(entries["files"]):
        raise ModelFolderError(f"{path} was altered: its entries do not match its own SHA-256", fix=_AGAIN)
    files: dict[str, Any] = entries["files"]
    return files


def _read(folder: Path, name: str, entry: Mapping[str, Any]) -> bytes:
    path = folder / name
    data = _bytes(path, "the folder is incomplete: it is missing")
    if len(data) != entry["bytes"]:
        what = "cut short" if len(data) < entry["bytes"] else "altered"
        raise ModelFolderError(f"{path} was {what}: it has {len(data)} bytes, the manifest says {entry['bytes']}", fix=_AGAIN)
    if _digest(data) != entry["sha256"]:
        raise ModelFolderError(f"{path} was altered: its SHA-256 is not the one in the manifest", fix=_AGAIN)
    return data


def _bytes(path: Path, missing: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ModelFolderError(f"{path}: {missing}", fix=_AGAIN) from error
    except OSError as error:
        what = f"{path} cannot be read: {error.strerror or error}"
        raise ModelFolderError(what, fix="check the file's permissions") from error


# -- the model -----------------------------------------------------------------------------------------------------


def _contents(model: Compiled, name: str) -> dict[str, bytes]:
    """The files of a model, but for the manifest. Raises TypeError for a Python function that is no expression."""
    described = {MODEL: dump(_to_dict(model)), README: _readme(model, name).encode()}
    return {**described, **checked_files(model)}


def _to_dict(model: Compiled) -> dict[str, Any]:
    artifact = {f.name: to_json(getattr(model.artifact, f.name)) for f in fields(Artifact) if f.name != "layers"}
    return {
        "construction": model.construction,
        "constants": {name: _text(value) for name, value in model.constants.items()},
        "bounds": to_json(model.bounds),
        "theory": to_json(model.theory),
        "artifact": artifact,
        "distinct_layers": [to_json(layer) for layer in model.artifact.unique_layers],
        "order": model.artifact.order,
    }


def _from_dict(data: Mapping[str, Any]) -> Compiled:
    distinct = [from_json(LayerWeights, layer) for layer in data["distinct_layers"]]
    order = from_json(tuple[int, ...], data["order"])
    if any(not 0 <= index < len(distinct) for index in order):
        raise ValueError("the order names a layer that is not there")
    given = {**data["artifact"], "layers": []}
    artifact = replace(from_json(Artifact, given), layers=tuple(distinct[i] for i in order))
    check_graph(artifact.graph)
    model = Compiled(artifact, None, from_json(dict[str, str], data["constants"]))
    model.construction = from_json(str | None, data["construction"])
    model.bounds = from_json(Bounds | None, data["bounds"])
    model.theory = from_json(NewtonTheory | None, data["theory"])
    return model


def _text(value: Any) -> str:
    """A constant as people read it. Its exact value is in the graph and in the weights."""
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape}, {value.dtype}"
    return value if isinstance(value, str) else getattr(value, "__name__", None) or str(value)


def _readme(model: Compiled, name: str) -> str:
    sizes = ", ".join(f"{dim} = {size}" for dim, size in model.artifact.graph.sizes.items())
    inputs = ", ".join(f"{spec.name} {_sizes(model, spec.shape)}" for spec in model.artifact.graph.inputs)
    return (
        f"A transformer of explicit weight matrices that computes {model.name} ({sizes}): "
        f"{model.depth} layers, {model.max_heads} heads, {model.d_model} rows. Made by headwright.\n"
        f"Run it:    headwright run {name} --input x.npz --output y.npz    (x.npz holds {inputs or 'nothing'})\n"
        f"Prove it:  headwright verify {name}    Read it:  headwright explain {name}\n"
    )


def _sizes(model: Compiled, shape: tuple[Any, ...]) -> str:
    sizes = [str(dim if isinstance(dim, int) else model.artifact.graph.sizes[dim]) for dim in shape]
    return "(" + " × ".join(sizes) + ")" if sizes else "(number)"

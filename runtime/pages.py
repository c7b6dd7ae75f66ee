"""Pages of markdown beside a file of JSON, and what stands in them: tables, powers of ten."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .atomic import write_file

_DIGITS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power(value: float) -> str:
    """10⁻⁶ for a power of ten, else the number."""
    exponent = round(math.log10(value))
    exact = math.isclose(value, 10.0**exponent) and exponent not in (0, 1)
    return f"10{str(exponent).translate(_DIGITS)}" if exact else f"{value:g}"


def scientific(value: float) -> str:
    """5·10⁻¹¹."""
    digit, _, exponent = f"{value:.0e}".partition("e")
    return f"{digit}·10{str(int(exponent)).translate(_DIGITS)}" if exponent else digit


def table_lines(header: Sequence[str], align: str, body: Sequence[Sequence[str]]) -> list[str]:
    """A table as lines of markdown; align: "l" or "r" for each column."""
    rule = ["--:" if side == "r" else "---" for side in align]
    return ["| " + " | ".join(cells) + " |" for cells in (header, rule, *body)]


def write_page(folder: Path, name: str, text: str, data: Any, indent: int | None = 1) -> list[str]:
    """Writes name.md and name.json, each complete or not at all; returns their paths."""
    page, numbers = folder / f"{name}.md", folder / f"{name}.json"
    write_file(page, lambda file: file.write(text.encode()))
    write_file(numbers, lambda file: file.write((json.dumps(data, indent=indent, ensure_ascii=False) + "\n").encode()))
    return [str(page), str(numbers)]

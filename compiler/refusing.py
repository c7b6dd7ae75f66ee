"""What traced values are not: Python's and numpy's other ways to use a value, refused with the line and what to write."""

from __future__ import annotations

from typing import Any, NoReturn

from .dims import Dim, describe_shape
from .errors import NoAttributeError, TraceError, location_of, user_frame
from .tracer import Tracer

#: What stands for methods of numpy arrays.
_INSTEAD = {
    "dot": "write A @ B",
    "sum": 'write hw.ones("n") @ A, or A @ hw.ones("d"), with the dimension that is summed over',
    "mean": 'write hw.ones("n") @ A / hw.dim("n")',
    "inv": "use hw.solve, or an iteration of products such as X = 2 * X - X @ S @ X",
    "t": "write A.T",
    "clip": "use hw.relu, or hw.apply with sympy.Max and sympy.Min",
}


class Refusing:
    """The part of `expr.Expr` that only refuses: a program is traced once, so that a value has no number yet."""

    tracer: Tracer
    number: int

    @property
    def dims(self) -> tuple[Dim, ...]:
        """The symbolic shape, for example ("n", "d")."""
        raise NotImplementedError

    def _refuse(self, action: str, fix: str) -> NoReturn:
        raise TraceError(
            f"cannot {action} the traced value {self.tracer.name_of(self.number)} {describe_shape(self.dims)}",
            where=location_of(user_frame()),
            rule="the program is traced once and becomes fixed weights: it cannot depend on the data's values",
            fix=fix,
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_") or name in ("tracer", "number", "ndim"):  # numpy, copy and the like ask for protocols
            raise AttributeError(name)
        raise NoAttributeError(
            f"the traced value {self.tracer.name_of(self.number)} {describe_shape(self.dims)} has no attribute {name}",
            where=location_of(user_frame()),
            rule="traced values have .T, .shape and .ndim; everything else is an operator or a function of hw",
            fix=_INSTEAD.get(name, "use @, +, -, *, /, .T and hw functions instead of numpy's methods"),
        )

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse("call", "write A.T without (), and A @ x for a product")

    def __setitem__(self, key: Any, value: Any) -> None:
        self._refuse("assign to entries of", "write a new value: X = X + Y, or X * mask with a constant 0/1 mask")

    def __delitem__(self, key: Any) -> None:
        self._refuse("delete entries of", "select with a constant matrix, for example np.eye(d)[1:] @ x")

    def __format__(self, spec: str) -> str:
        return repr(self) if not spec else self._refuse("format", "print it without a format: it has no number yet")

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> NoReturn:
        value = next((a for a in args if isinstance(a, Refusing)), None)
        if value is None:
            raise TraceError("cannot use traced values with torch", where=location_of(user_frame()), fix="use hw functions")
        value._refuse(
            f"apply torch.{getattr(function, '__name__', 'function')} to",
            "use @, +, -, *, .T and hw functions; pass constants as numpy arrays: tensor.numpy()",
        )

    def __bool__(self) -> bool:
        self._refuse("branch on", "branch on keyword-only constants, or write the choice as arithmetic")

    def _update(self, _: Any) -> NoReturn:
        # numpy would change every variable that holds this array; a traced value cannot change
        self._refuse("update in place", "write X = X + Y instead of X += Y")

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __imatmul__ = __ipow__ = _update

    def _compare(self, _: Any) -> bool:
        self._refuse("compare", "branch on keyword-only constants, or write the choice as arithmetic")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _compare

    def _other(self, *_: Any) -> NoReturn:
        self._refuse("use this operator on", "use +, -, *, /, @ and **, or hw.apply(fn, value, domain=(lo, hi)) for a function")

    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = __divmod__ = __rdivmod__ = _other
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __invert__ = _other
    __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = _other
    __round__ = __trunc__ = __floor__ = __ceil__ = _other

    def __contains__(self, item: Any) -> bool:
        self._refuse("look for a value in", "branch on keyword-only constants, or write the choice as arithmetic")

    def __complex__(self) -> complex:
        self._refuse("convert to a number", "use it in expressions only; its value exists at run time")

    def __float__(self) -> float:
        self._refuse("convert to a number", "use it in expressions only; its value exists at run time")

    def __int__(self) -> int:
        self._refuse("convert to a number", "use it in expressions only; its value exists at run time")

    __index__ = __int__

    def __iter__(self) -> NoReturn:
        self._refuse("iterate over", 'select with a constant matrix, for example np.eye(d)[i] @ x, or loop over hw.dim("d")')

    def __rpow__(self, base: Any) -> NoReturn:
        self._refuse(f"raise {base!r} to the power of", "use hw.exp, or hw.apply(lambda z: c**z, value, domain=(lo, hi))")

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse("convert to a numpy array", "use @, +, -, *, .T and hw functions instead of numpy functions")

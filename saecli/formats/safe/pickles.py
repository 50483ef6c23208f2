"""The pickle language read as plain values: nothing that a pickle names is looked up, imported or called.

A pickle is a program for a small stack machine. This is that machine with one change: a name (``GLOBAL``) is looked up
in a table of this package's own constructors of plain values, and a name that is not in the table ends the reading. The
opcodes are told apart by :mod:`pickletools` of the standard library, which executes nothing.
"""

from __future__ import annotations

import pickletools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any, Final

_NAMES_OF_PYTHON_2: Final = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_BASES: Final = frozenset({"builtins.object"})
_COPIES: Final = 4
_COPIES_FREE: Final = 1 << 16
_PLAIN_KEYS: Final = (str, int, float, bytes, type(None))


class Refused(ValueError):
    """Why a pickle is not read: the end of the sentence "FILE …"."""


class WantsCode(Refused):
    """A pickle names something to import that no file of values needs."""


class Name:
    """A name that a pickle mentions: a constructor of the table, or a class whose objects become :class:`Inert`."""

    def __init__(self, name: str) -> None:
        self.name = name


class Inert:
    """What is left of an object of a class that is known by name only: its attributes as plain values."""

    def __init__(self, class_name: str) -> None:
        self.class_name = class_name
        self.state: dict[str, Any] = {}


class Unfinished:
    """A value that a later opcode (``BUILD``) completes: ``finish`` gets the state and returns the value."""

    def __init__(self, finish: Callable[[Any], Any]) -> None:
        self.finish = finish
        self.memo: list[int] = []


class Machine:
    """Reads one pickle.

    Args:
        constructors: Full name → function of this package that makes a plain value; a value that is not callable is
            what the name itself stands for.
        inert: Full names of classes whose objects become :class:`Inert`.
        persistent: Makes a value of a persistent id (a storage of a torch file).
    """

    def __init__(
        self,
        constructors: Mapping[str, Any],
        inert: frozenset[str] = frozenset(),
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self.constructors = constructors
        self.inert = inert
        self.persistent = persistent

    def read(self, stream: IO[bytes]) -> Any:
        """The value of the pickle that begins at the stream's position; the stream is left behind its end.

        The stream must be bounded by its data (a buffer in memory or a mapped file), since lengths in a pickle are
        claims.

        Raises:
            Refused: A name outside the tables, an opcode that plain values do not need, or a damaged pickle.
        """
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.copied = 0
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name == "STOP":
                    return self._pop()
                self._step(opcode.name, argument)
                if self.copied > _COPIES * stream.tell() + _COPIES_FREE:
                    raise Refused("is a pickle that unpacks to far more than its size")
        except Refused:
            raise
        except (ValueError, IndexError, KeyError, TypeError, AttributeError, EOFError, OverflowError) as error:
            raise Refused("is a damaged pickle") from error
        raise Refused("is a damaged pickle: it has no end")

    def _step(self, code: str, argument: Any) -> None:
        if code in _LITERALS:
            self.stack.append(argument)
        elif code in _CONSTANTS:
            self.stack.append(_CONSTANTS[code]())
        elif code in ("PROTO", "FRAME"):
            pass
        elif step := _STEPS.get(code):
            step(self, argument)
        elif code == "INST":  # names a class and makes an object of it
            self._name(*argument.split(" ", 1))
            raise Refused("is a pickle of a format that no file of values has")
        else:
            raise Refused(f"is a pickle with the opcode {code}, which plain values do not need")

    def _pop(self) -> Any:
        if self.marks and self.marks[-1] >= len(self.stack):
            raise Refused("is a damaged pickle")
        return self.stack.pop()

    def _since_mark(self) -> list[Any]:
        at = self.marks.pop()
        items = self.stack[at:]
        del self.stack[at:]
        return items

    def _collect(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def _extend(self, items: Iterable[Any], kind: type) -> None:
        target = self.stack[-1]
        if not isinstance(target, kind):
            raise Refused("is a damaged pickle")
        if isinstance(target, list):
            target.extend(items)
        elif isinstance(target, set):
            target.update(key(one) for one in items)
        else:
            items = list(items)
            target.update((key(name), value) for name, value in zip(items[::2], items[1::2], strict=True))

    def _remember(self, index: int) -> None:
        value = self.stack[-1]
        if isinstance(value, Unfinished):
            value.memo.append(index)
        self.memo[index] = value

    def _name(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise Refused("is a damaged pickle")
        full = f"{_NAMES_OF_PYTHON_2.get(module, module)}.{name}"
        if full in self.inert or full in _BASES:
            self.stack.append(Name(full))
        elif full in self.constructors:
            meaning = self.constructors[full]
            self.stack.append(Name(full) if callable(meaning) else meaning)
        else:
            raise WantsCode(f"wants to import {full[:200]}; a file of values needs no code")

    def _call(self, _: Any = None) -> None:
        arguments, name = self._pop(), self._pop()
        if not isinstance(name, Name) or not isinstance(arguments, tuple):
            raise Refused("is a damaged pickle: it calls something that has no name")
        self.stack.append(self._made(name.name, arguments))

    def _made(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if name in self.inert or name in _BASES:
            return Inert(name)
        self._charge(arguments)
        return self.constructors[name](*arguments)

    def _charge(self, values: Any) -> None:
        """Count what a constructor may copy: a value that is remembered could be passed again and again."""
        for value in values if isinstance(values, tuple) else ():
            if isinstance(value, (str, bytes, bytearray, list, tuple, dict, set)):
                self.copied += len(value)

    def _build(self, _: Any) -> None:
        state, target = self._pop(), self.stack[-1]
        self._charge(state)
        if isinstance(target, Unfinished):
            self.stack[-1] = value = target.finish(state)
            for index in target.memo:
                self.memo[index] = value
        elif isinstance(target, Inert):
            for part in state if isinstance(state, tuple) else (state,):
                if part is not None:
                    target.state.update({str(key(name)): value for name, value in part.items()})
        elif not isinstance(target, OrderedDict):  # a state_dict's own attribute _metadata is not kept
            raise Refused("is a damaged pickle: it gives a state to a value that has none")

    def _persist(self, _: Any) -> None:
        if self.persistent is None:
            raise Refused("is a pickle that refers to data outside it")
        self.stack.append(self.persistent(self._pop()))


def key(value: Any) -> Any:
    """A value that may be a key: plain, or a flat tuple of plain ones (hashing a deep one could exhaust the stack)."""
    if isinstance(value, _PLAIN_KEYS) or (isinstance(value, tuple) and all(isinstance(v, _PLAIN_KEYS) for v in value)):
        return value
    raise Refused("has a dictionary whose keys are not plain values")


def _mapping(items: list[Any]) -> dict[Any, Any]:
    return {key(name): value for name, value in zip(items[::2], items[1::2], strict=True)}


_LITERALS: Final = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    }
)
_CONSTANTS: Final[dict[str, Callable[[], Any]]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
}
_STEPS: Final[dict[str, Callable[[Machine, Any], Any]]] = {
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "POP": lambda m, _: m._pop() if not m.marks or m.marks[-1] < len(m.stack) else m.marks.pop(),
    "POP_MARK": lambda m, _: m._since_mark(),
    "DUP": lambda m, _: m.stack.append(m.stack[-1]),
    "LIST": lambda m, _: m.stack.append(m._since_mark()),
    "TUPLE": lambda m, _: m.stack.append(tuple(m._since_mark())),
    "DICT": lambda m, _: m.stack.append(_mapping(m._since_mark())),
    "FROZENSET": lambda m, _: m.stack.append(frozenset(map(key, m._since_mark()))),
    "TUPLE1": lambda m, _: m._collect(1),
    "TUPLE2": lambda m, _: m._collect(2),
    "TUPLE3": lambda m, _: m._collect(3),
    "APPEND": lambda m, _: m._extend([m._pop()], list),
    "APPENDS": lambda m, _: m._extend(m._since_mark(), list),
    "ADDITEMS": lambda m, _: m._extend(m._since_mark(), set),
    "SETITEM": lambda m, _: m._extend(reversed([m._pop(), m._pop()]), dict),
    "SETITEMS": lambda m, _: m._extend(m._since_mark(), dict),
    "PUT": lambda m, i: m._remember(i),
    "BINPUT": lambda m, i: m._remember(i),
    "LONG_BINPUT": lambda m, i: m._remember(i),
    "MEMOIZE": lambda m, _: m._remember(len(m.memo)),
    "GET": lambda m, i: m.stack.append(m.memo[i]),
    "BINGET": lambda m, i: m.stack.append(m.memo[i]),
    "LONG_BINGET": lambda m, i: m.stack.append(m.memo[i]),
    "GLOBAL": lambda m, names: m._name(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m._name(*reversed([m._pop(), m._pop()])),
    "REDUCE": Machine._call,
    "NEWOBJ": Machine._call,
    "BUILD": Machine._build,
    "BINPERSID": Machine._persist,
}

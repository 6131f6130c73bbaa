"""A closed interpreter for the pickles that PyTorch writes.

Every opcode of protocols 2 to 5 that a tree of numbers, text, containers and tensors needs is a
function here; nothing is imported or called by name, see :mod:`snnbridge_plugins.torch.rebuild`.
The opcodes are those of CPython's ``Lib/pickletools.py``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from snnbridge import ReadError
from snnbridge_plugins.torch.rebuild import call, named
from snnbridge_plugins.torch.values import StateDict

_Persistent = Callable[[Any], Any]
_PROTOCOLS = range(2, 6)


class Machine:
    """Runs one pickle.

    Parameters
    ----------
    data : memoryview
    start : int
        Where the pickle starts.
    persistent : function of an id
        Returns what a persistent id stands for: a storage.

    Attributes
    ----------
    position : int
        The byte after the pickle, once it has run.
    """

    def __init__(self, data: memoryview, persistent: _Persistent, start: int = 0) -> None:
        self._data = data
        self.position = start
        self.persistent = persistent
        self.stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Return the value that the pickle makes.

        Raises
        ------
        ReadError
            If the pickle is damaged, or holds more than a tree of tensors.
        """
        try:
            while (code := self.byte()) != _STOP:
                _OPCODES[code](self)
            (value,) = self.stack
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, struct.error) as error:
            if isinstance(error, ReadError):
                raise
            raise ReadError(f"the pickle is damaged before byte {self.position}") from error
        return value

    def byte(self) -> int:
        """Take one byte."""
        value = self._data[self.position]
        self.position += 1
        return value

    def take(self, count: int) -> bytes:
        """Take some bytes."""
        start, self.position = self.position, self.position + count
        if count < 0 or self.position > len(self._data):
            raise ReadError(f"the pickle ends before byte {self.position}")
        return bytes(self._data[start : self.position])

    def number(self, form: struct.Struct) -> int:
        """Take a number."""
        value: int = form.unpack(self.take(form.size))[0]
        return value

    def text(self, count: int) -> str:
        """Take UTF-8 text."""
        return self.take(count).decode("utf-8", "surrogatepass")

    def line(self) -> str:
        """Take text up to the end of a line."""
        start = self.position
        while self.byte() != 0x0A:
            pass
        return bytes(self._data[start : self.position - 1]).decode("utf-8")

    def mark(self) -> None:
        """Begin a new stack above this one."""
        self._outer.append(self.stack)
        self.stack = []

    def items(self) -> list[Any]:
        """Return what stands above the last mark."""
        found, self.stack = self.stack, self._outer.pop()
        return found

    def pop(self, count: int) -> tuple[Any, ...]:
        """Take values from the top."""
        found = tuple(self.stack[len(self.stack) - count :])
        if len(found) != count:
            raise IndexError(count)
        del self.stack[len(self.stack) - count :]
        return found


def _set(target: Any, items: list[Any]) -> None:
    if not isinstance(target, dict) or len(items) % 2:
        raise ReadError("the pickle puts items into what is no dictionary")
    _check_keys(items[::2])
    target.update(zip(items[::2], items[1::2], strict=True))


def _append(target: Any, items: list[Any]) -> None:
    if type(target) is not list:
        raise ReadError("the pickle appends to what is no list")
    target.extend(items)


def _add(target: Any, items: list[Any]) -> None:
    if type(target) is not set:
        raise ReadError("the pickle adds to what is no set")
    _check_keys(items)
    target.update(items)


def _check_keys(keys: list[Any]) -> None:
    """Refuse keys whose hashes a stranger could make collide: tuples, and huge numbers."""
    for key in keys:
        if type(key) is not str and (type(key) not in _KEYS or _is_huge(key)):
            raise ReadError(f"the pickle has a key of type {type(key).__name__}, or a huge one")


def _is_huge(key: Any) -> bool:
    return type(key) is int and key.bit_length() > 64


def _build(machine: Machine) -> None:
    """Take the ``_metadata`` of a state dict; no other object has a state."""
    (state,) = machine.pop(1)
    target = machine.stack[-1]
    if not isinstance(target, StateDict) or not isinstance(state, dict):
        raise ReadError("the pickle gives a state to what has none")
    if "_metadata" in state:
        target.metadata = state["_metadata"]


def _stack_global(machine: Machine) -> None:
    module, name = machine.pop(2)
    machine.stack.append(named(module, name))


def _reduce(machine: Machine) -> None:
    function, arguments = machine.pop(2)
    machine.stack.append(call(function, arguments))


def _long(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


_U1, _U2, _U4, _U8 = (struct.Struct(f"<{c}") for c in "BHIQ")
_I4, _F8 = struct.Struct("<i"), struct.Struct(">d")


def _push(make: Callable[[Machine], Any]) -> Callable[[Machine], None]:
    def push(machine: Machine) -> None:
        value = make(machine)  # may end a mark, which puts another stack in place
        machine.stack.append(value)

    return push


def _put(form: struct.Struct) -> Callable[[Machine], None]:
    def put(machine: Machine) -> None:
        machine.memo[machine.number(form)] = machine.stack[-1]

    return put


def _into(change: Callable[[Any, list[Any]], None]) -> Callable[[Machine], None]:
    def put_in(machine: Machine) -> None:
        items = machine.items()
        change(machine.stack[-1], items)

    return put_in


def _into_one(change: Callable[[Any, list[Any]], None], count: int) -> Callable[[Machine], None]:
    def put_in(machine: Machine) -> None:
        items = list(machine.pop(count))
        change(machine.stack[-1], items)

    return put_in


def _protocol(machine: Machine) -> None:
    if (found := machine.byte()) not in _PROTOCOLS:
        raise ReadError(f"the pickle is of protocol {found}; expected 2 to 5")


def _memoize(machine: Machine) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _frame(machine: Machine) -> None:
    machine.take(8)


def _pop_mark(machine: Machine) -> None:
    machine.items()


_STOP = ord(".")
_KEYS = (int, bool, float, bytes, type(None))
_MAKERS: dict[bytes, Callable[[Machine], Any]] = {
    b"N": lambda m: None,
    b"\x88": lambda m: True,
    b"\x89": lambda m: False,
    b"K": Machine.byte,
    b"M": lambda m: m.number(_U2),
    b"J": lambda m: m.number(_I4),
    b"\x8a": lambda m: _long(m.take(m.byte())),
    b"\x8b": lambda m: _long(m.take(m.number(_I4))),
    b"G": lambda m: m.number(_F8),
    b"X": lambda m: m.text(m.number(_U4)),
    b"\x8c": lambda m: m.text(m.byte()),
    b"\x8d": lambda m: m.text(m.number(_U8)),
    b"U": lambda m: m.take(m.byte()).decode("latin1"),
    b"T": lambda m: m.take(m.number(_I4)).decode("latin1"),
    b"C": lambda m: m.take(m.byte()),
    b"B": lambda m: m.take(m.number(_U4)),
    b"\x8e": lambda m: m.take(m.number(_U8)),
    b")": lambda m: (),
    b"]": lambda m: [],
    b"}": lambda m: {},
    b"\x8f": lambda m: set(),
    b"\x85": lambda m: m.pop(1),
    b"\x86": lambda m: m.pop(2),
    b"\x87": lambda m: m.pop(3),
    b"t": lambda m: tuple(m.items()),
    b"l": lambda m: m.items(),
    b"h": lambda m: m.memo[m.byte()],
    b"j": lambda m: m.memo[m.number(_U4)],
    b"Q": lambda m: m.persistent(m.pop(1)[0]),
    b"c": lambda m: named(m.line(), m.line()),
}
_OPCODES: dict[int, Callable[[Machine], None]] = {
    **{code[0]: _push(make) for code, make in _MAKERS.items()},
    ord("("): Machine.mark,
    ord("q"): _put(_U1),
    ord("r"): _put(_U4),
    0x94: _memoize,
    0x95: _frame,
    0x80: _protocol,
    0x93: _stack_global,
    ord("R"): _reduce,
    0x81: _reduce,  # NEWOBJ
    ord("b"): _build,
    ord("s"): _into_one(_set, 2),
    ord("u"): _into(_set),
    ord("a"): _into_one(_append, 1),
    ord("e"): _into(_append),
    0x90: _into(_add),
    ord("0"): lambda m: m.stack.pop(),
    ord("1"): _pop_mark,
}

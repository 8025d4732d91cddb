"""A pickle read as data: a small interpreter of its opcodes that calls nothing and imports nothing.

Python's own unpickler is a machine that runs whatever program the file holds. This one only writes down what the program asks
for: `Made('collections.OrderedDict', ())` stands for a call that did not happen. Names outside the reader's list, and opcodes
that no checkpoint needs, end the reading. Memory stays in proportion to the file: nothing is copied or allocated by a declared
length, and the number of opcodes is limited.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from bench.errors import InputError

# Full-size snapshots with three networks have below 100,000 opcodes, training states with optimizers some more.
MOST_OPCODES = 500_000

VALUES = frozenset(
    "INT BININT BININT1 BININT2 LONG1 LONG4 FLOAT BINFLOAT SHORT_BINSTRING BINSTRING SHORT_BINUNICODE BINUNICODE BINUNICODE8 "
    "SHORT_BINBYTES BINBYTES BINBYTES8".split()
)
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
MAPPINGS = frozenset({"collections.OrderedDict", "dnnlib.util.EasyDict"})
# What may be given a state after it was made. The state is kept beside it, and never applied.
WITH_STATE = MAPPINGS | {
    "numpy.dtype", "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "argparse.Namespace",
}  # fmt: skip
KEYS = (str, int, float, bool, bytes, type(None))


@dataclass(frozen=True, slots=True)
class Name:
    """A global that the pickle names, as 'module.attribute'. It stands for nothing but itself."""

    path: str


@dataclass(eq=False, slots=True)
class Made:
    """What the pickle would have had made by calling `what`: its arguments, the state it was given, the items it was set."""

    what: str
    args: tuple[Any, ...]
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


def read_pickle(
    stream: BinaryIO, allowed: Collection[str], persistent: Callable[[Any], Any] | None = None
) -> tuple[Any, list[Made]]:
    """One pickle from the stream's position on: its value, of plain containers, Name and Made, and everything made for it.

    stream: something whose read(n) never allocates more than is there (BytesIO, mmap). allowed: globals that may be named.
    persistent: what a persistent id stands for; None refuses them. Raises InputError, without the file's name.
    """
    machine = _Machine(allowed, persistent)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count >= MOST_OPCODES:
                raise InputError(f"its pickle has more than {MOST_OPCODES} opcodes: no checkpoint needs as many")
            if opcode.name == "STOP":
                return machine.result(), machine.made
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, AttributeError) as error:
        raise InputError("it is damaged or cut off: its pickle does not read to its end") from error
    raise InputError("it is damaged or cut off: its pickle does not read to its end")


class _Machine:
    def __init__(self, allowed: Collection[str], persistent: Callable[[Any], Any] | None) -> None:
        self.allowed, self.persistent = allowed, persistent
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under the open marks
        self.memo: dict[int, Any] = {}
        self.made: list[Made] = []

    def result(self) -> Any:
        if self.below or len(self.stack) != 1:
            raise ValueError("a value and nothing else should be left")
        return self.stack.pop()

    def step(self, name: str, argument: Any) -> None:
        """Carry out one opcode."""
        if name in VALUES:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        else:
            handler = HANDLERS.get(name)
            if handler is None:
                raise InputError(f"its pickle uses the opcode {name}, which no checkpoint needs; nothing of it was executed")
            handler(self, argument)

    def to_mark(self) -> list[Any]:
        """Everything above the last mark, which goes."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def pop(self, _: Any) -> None:
        self.stack.pop()

    def pop_mark(self, _: Any) -> None:
        self.to_mark()

    def nothing(self, _: Any) -> None:
        """PROTO and FRAME say how the file is cut, which changes nothing here."""

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def empty(self, kind: type) -> None:
        self.stack.append(kind())

    def pack(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError(count)
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.stack.append(items)

    def pack_to_mark(self, _: Any) -> None:
        items = tuple(self.to_mark())
        self.stack.append(items)

    def append(self, _: Any) -> None:
        value = self.stack.pop()
        self._list().append(value)

    def appends(self, _: Any) -> None:
        values = self.to_mark()
        self._list().extend(values)

    def _list(self) -> list[Any]:
        if type(self.stack[-1]) is not list:
            raise InputError("its pickle appends to what is no list; nothing of it was executed")
        return self.stack[-1]

    def add_items(self, _: Any) -> None:
        values = self.to_mark()
        if type(self.stack[-1]) is not set:
            raise InputError("its pickle adds to what is no set; nothing of it was executed")
        self.stack[-1].update(_key(value) for value in values)

    def set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._dict()[_key(key)] = value

    def set_items(self, _: Any) -> None:
        values = self.to_mark()
        if len(values) % 2:
            raise ValueError("keys and values come in pairs")
        self._dict().update((_key(key), value) for key, value in zip(values[::2], values[1::2], strict=True))

    def _dict(self) -> dict[Any, Any]:
        target = self.stack[-1]
        if isinstance(target, Made) and target.what in MAPPINGS:
            return target.items
        if type(target) is not dict:
            raise InputError("its pickle sets items of what is no dictionary; nothing of it was executed")
        return target

    def name(self, argument: str) -> None:
        module, _, attribute = argument.partition(" ")
        self._name(module, attribute)

    def stack_name(self, _: Any) -> None:
        attribute, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(module, str) and isinstance(attribute, str)):
            raise InputError("its pickle names a global by something that is no text; nothing of it was executed")
        self._name(module, attribute)

    def _name(self, module: str, attribute: str) -> None:
        path = f"{module}.{attribute}"
        if path not in self.allowed:
            raise refusal(path)
        self.stack.append(Name(path))

    def call(self, _: Any) -> None:
        """REDUCE and NEWOBJ: write down what would have been called. It is not."""
        args, callee = self.stack.pop(), self.stack.pop()
        if not isinstance(callee, Name) or type(args) is not tuple:
            raise InputError("its pickle calls what is no name on its list; nothing of it was executed")
        made = Made(callee.path, args)
        self.made.append(made)
        self.stack.append(made)

    def build(self, _: Any) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not (isinstance(target, Made) and target.what in WITH_STATE and target.state is None):
            raise InputError("its pickle sets the state of what has none; nothing of it was executed")
        target.state = state

    def persistent_id(self, _: Any) -> None:
        if self.persistent is None:
            raise InputError("its pickle refers to something outside itself (a persistent id); nothing of it was executed")
        self.stack.append(self.persistent(self.stack.pop()))


HANDLERS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine.nothing, "FRAME": _Machine.nothing, "MARK": _Machine.mark, "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark, "PUT": _Machine.put, "BINPUT": _Machine.put, "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize, "GET": _Machine.get, "BINGET": _Machine.get, "LONG_BINGET": _Machine.get,
    "EMPTY_LIST": lambda machine, _: machine.empty(list), "EMPTY_DICT": lambda machine, _: machine.empty(dict),
    "EMPTY_SET": lambda machine, _: machine.empty(set), "TUPLE": _Machine.pack_to_mark,
    "TUPLE1": lambda machine, _: machine.pack(1), "TUPLE2": lambda machine, _: machine.pack(2),
    "TUPLE3": lambda machine, _: machine.pack(3), "APPEND": _Machine.append, "APPENDS": _Machine.appends,
    "ADDITEMS": _Machine.add_items, "SETITEM": _Machine.set_item, "SETITEMS": _Machine.set_items, "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stack_name, "REDUCE": _Machine.call, "NEWOBJ": _Machine.call, "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent_id,
}  # fmt: skip


def _key(value: Any) -> Any:
    """A dictionary key or set member. Plain ones only: hashing shared nested tuples takes time without end."""
    if not isinstance(value, KEYS):
        raise InputError("its pickle has a key that is neither text nor a number; nothing of it was executed")
    return value


def refusal(path: str) -> InputError:
    """The error for a global that is not on the list."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in path)[:80]
    if shown == "network.Network" or shown.startswith(("dnnlib.tflib.", "tfutil.")):
        return InputError(
            "a TensorFlow network pickle, which is a program: convert it first, StyleGAN2 with `python legacy.py --source=IN.pkl "
            "--dest=OUT.pkl` of NVlabs/stylegan2-ada-pytorch, StyleGAN and PGGAN with `convert_model.py` of genforce/genforce"
        )
    return InputError(
        f"its pickle asks for {shown}, but a checkpoint may hold tensors and plain values only; nothing of it was executed. "
        "If you trust its source, save the generator's state dict alone, with the code that it came from"
    )

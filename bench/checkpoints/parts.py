"""The networks inside a checkpoint's value: which dictionaries of tensors it holds, and which of them is the generator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from bench.checkpoints.kinds import unknown_network
from bench.errors import InputError, unknown
from bench.generators.forms import find_form

# Names under which checkpoints keep the exponential moving average of a generator's weights, which is the one to use.
AVERAGES = ("G_ema", "g_ema", "generator_smooth", "generator_ema", "netG_ema", "model_ema", "ema")
# First words under which larger models keep a generator (pSp and e4e: decoder). Any other group is read only when asked for:
# plain stacks of layers, as a DCGAN is, are part of many networks.
HOLDERS = frozenset({*AVERAGES, "decoder", "generator", "G", "g", "netG", "gen", "model", "gan", "stylegan"})
# What DataParallel and torch.compile put before every name.
WRAPPERS = ("module.", "_orig_mod.")
DEEPEST, MOST_PARTS, MOST_DICTIONARIES = 4, 1_000, 10_000


@dataclass(frozen=True)
class Part:
    """One dictionary of tensors. name: the keys that lead to it, joined by '/'; empty for the whole file.

    names: of its tensors, without prefixes. load: gives them. arguments: its constructor's, nested. beside: tensors beside it.
    within: the part that this one's names were cut out of, by their first word.
    """

    name: str
    names: tuple[str, ...]
    load: Callable[[], dict[str, Tensor]]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Tensor] = field(default_factory=dict)
    within: Part | None = None

    @property
    def averaged(self) -> bool:
        return any(piece in AVERAGES for piece in self.name.split("/"))

    @property
    def shown(self) -> str:
        return self.name or "(the whole file)"

    def called(self, wanted: str) -> bool:
        """Whether this is meant by a name: the whole path, or the last of its keys."""
        return wanted in (self.name, self.name.rpartition("/")[2])


def find_parts(value: Any) -> list[Part]:
    """The parts of what torch.save wrote: dictionaries of tensors, and in each the names that share a first word.

    What DataParallel and torch.compile put before names is taken off. Raises InputError where there are no tensors by name.
    """
    parts: list[Part] = []
    beside = {key: one for key, one in value.items() if isinstance(one, Tensor)} if isinstance(value, Mapping) else {}
    for name, tensors in _dictionaries(value, "", 0, [MOST_DICTIONARIES]):
        plain = _unwrapped(tensors)
        whole = Part(name, tuple(plain), lambda plain=plain: plain, beside=beside if name else {})
        parts.append(whole)
        groups: dict[str, dict[str, Tensor]] = {}
        for key, one in plain.items():
            word, dot, rest = key.partition(".")
            if dot:
                groups.setdefault(word, {})[rest] = one
        for word, group in groups.items():
            inner = _unwrapped(group)
            path = f"{name}/{word}" if name else word
            parts.append(Part(path, tuple(inner), lambda inner=inner: inner, beside=beside, within=whole))
        if len(parts) > MOST_PARTS:
            raise InputError(f"it holds more than {MOST_PARTS} groups of tensors: save the generator's state dict alone")
    if not parts:
        raise InputError("it holds no tensors by name: a generator's checkpoint is a dictionary of them")
    return parts


def _unwrapped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the names that they have without DataParallel and torch.compile."""
    for wrapper in WRAPPERS:
        if all(key.startswith(wrapper) for key in tensors):
            return _unwrapped({key.removeprefix(wrapper): one for key, one in tensors.items()}) if tensors else {}
    return dict(tensors)


def _dictionaries(value: Any, name: str, depth: int, budget: list[int]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """All dictionaries in the value that have tensors under text keys, with the keys that lead to them."""
    if not isinstance(value, Mapping) or depth > DEEPEST:
        return
    budget[0] -= 1
    if budget[0] < 0:
        raise InputError(f"it holds more than {MOST_DICTIONARIES} dictionaries: save the generator's state dict alone")
    tensors = {key: one for key, one in value.items() if isinstance(key, str) and isinstance(one, Tensor)}
    if tensors:
        yield name, tensors
    for key, one in value.items():
        if isinstance(key, str):
            yield from _dictionaries(one, f"{name}/{key}" if name else key, depth + 1, budget)


def choose(parts: Iterable[Part], wanted: str | None) -> Part:
    """The part of that name; None: the one that is a generator of a known form, its moving average where there are both.

    Raises InputError where there is no such part, where nothing is a generator, and where several are and none is an average.
    """
    parts = list(parts)
    if wanted is not None:
        # The whole path goes before a last key, and a dictionary before a group of names in it.
        called = sorted(
            (part for part in parts if part.called(wanted)), key=lambda one: (one.name != wanted, one.within is not None)
        )
        if not called:
            raise unknown("part", wanted, {part.shown for part in parts})
        return called[0]
    fitting: list[Part] = []
    for part in parts:
        inner = part.within is not None
        if inner and (part.name.rpartition("/")[2] not in HOLDERS or any(part.within is one for one in fitting)):
            continue
        if find_form(part.names) is not None:
            fitting.append(part)
    if not fitting:
        raise InputError(unknown_network([part.names for part in parts]))
    left = [part for part in fitting if part.averaged] or fitting
    if len(left) > 1:
        raise InputError(f"it holds several generators: say which with `part`, one of {', '.join(part.shown for part in left)}")
    return left[0]

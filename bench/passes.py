"""Network passes in chunks of a fixed size, so that a row's value never depends on what else was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from bench.clock import Clock
from bench.codes import Codes
from bench.domains.base import Network
from bench.generators.base import Generator
from bench.interventions import Intervention, rows

# Rows in every pass. Kernels, and so the last bits of a result, depend on the batch they run on: it is always this one.
CHUNK = 16

Networks = Network | Sequence[Network] | Mapping[str, Network]


def chunks(count: int) -> Iterator[tuple[slice, list[int]]]:
    """The wanted rows of each chunk, and the CHUNK row numbers to run; the last chunk repeats its last row."""
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        index = list(range(start, stop))
        yield slice(start, stop), index + index[-1:] * (CHUNK - len(index))


class Passes:
    """Synthesis and measurement for one generator, timed under 'synthesis', 'judges' and 'guides'.

    batch: pictures held at a time by `read`; it groups chunks and changes no value. guides: names of the networks whose time
    counts as the guides'. on_pictures: told how many pictures were just synthesized.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        batch: int = 64,
        clock: Clock | None = None,
        device: torch.device | str = "cpu",
        guides: frozenset[str] = frozenset(),
        on_pictures: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.generator, self.device, self.guides, self.on_pictures = generator, torch.device(device), guides, on_pictures
        self.group = max(CHUNK, batch // CHUNK * CHUNK)
        self.clock = clock or Clock()

    def synthesize(self, codes: Codes, intervene: Intervention = ()) -> Tensor:
        """Pictures [N, 3, R, R] on the CPU, clamped to [-1, 1]."""
        side = self.generator.info.resolution
        out = torch.empty(len(codes), 3, side, side)
        with self.clock.measure("synthesis"), torch.inference_mode():
            for part, index in chunks(len(codes)):
                images = self.generator.synthesize(codes[index].to(self.device), intervene=rows(intervene, index))
                out[part] = images[: part.stop - part.start].clamp(-1, 1).cpu()
                self.on_pictures(part.stop - part.start)
        return out

    def measure(self, networks: Networks, images: Tensor) -> dict[str, Tensor]:
        """Readings [N, ...] on the CPU of pictures [N, 3, R, R] in [-1, 1], each network run once.

        networks: one, several (all their readings), or reading -> network (that reading of each). Raises ValueError where two
        networks would answer one reading.
        """
        wanted: dict[str, tuple[Network, list[str]]] = {}
        for reading, network in _pairs(networks):
            wanted.setdefault(network.name, (network, []))[1].append(reading)
        readings = [reading for _, names in wanted.values() for reading in names]
        if len(set(readings)) != len(readings):
            raise ValueError(f"two networks answer one reading: {sorted(readings)}")
        found: dict[str, Tensor] = {}
        for network, names in wanted.values():
            found |= self._measure(network, names, images)
        return found

    def _measure(self, network: Network, names: list[str], images: Tensor) -> dict[str, Tensor]:
        parts: dict[str, list[Tensor]] = {name: [] for name in names}
        # A network's answer has a shape even where no picture was asked for: run one chunk of nothing and keep no row.
        asked = images if len(images) else images.new_zeros(CHUNK, *images.shape[1:])
        with self.clock.measure("guides" if network.name in self.guides else "judges"):
            with torch.inference_mode():
                for part, index in chunks(len(asked)):
                    whole = part.stop - part.start == CHUNK
                    answer = network.measure((asked[part] if whole else asked[index]).to(self.device))
                    for name in names:
                        parts[name].append(answer[name][: part.stop - part.start].cpu())
            # Joined outside inference mode: methods may want gradients of what they make of these.
            return {name: torch.cat(some)[: len(images)] for name, some in parts.items()}

    def read(self, networks: Networks, codes: Codes, intervene: Intervention = ()) -> dict[str, Tensor]:
        """`measure` of `synthesize`, a group at a time: for streams too long to hold their pictures."""
        parts = []
        for start in range(0, max(len(codes), 1), self.group):
            part = slice(start, start + self.group)
            parts.append(self.measure(networks, self.synthesize(codes[part], rows(intervene, part))))
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _pairs(networks: Networks) -> list[tuple[str, Network]]:
    """(reading, network) for everything that is wanted."""
    if isinstance(networks, Mapping):
        return list(networks.items())
    several = [networks] if isinstance(networks, Network) else networks
    return [(reading, network) for network in several for reading in sorted(network.readings)]

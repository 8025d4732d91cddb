"""Measure again what the shipped networks of `heads` read on a GAN's pictures: `python -m bench.training.heads_gan_agreement`.

Their cards name the generator's fingerprint. A test holds it to the generator that ships, so this follows every new one.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from bench.domains.heads.domain import WEIGHTS, heads
from bench.generators.weights import load_card
from bench.training.heads_loop import one_thread
from bench.training.heads_segmenter_cards import add_agreement
from bench.training.heads_text_cards import on_gan_pictures


def main() -> None:
    """Renew that part of four cards; all else in them stays."""
    with one_thread(), tempfile.TemporaryDirectory() as pools:
        add_agreement(WEIGHTS, Path(pools))
        for network in (heads().guide("text_image"), heads().judge("text_image")):
            path = WEIGHTS / f"{network.name}.json"
            card = load_card(path) | {"on_gan_pictures": on_gan_pictures(network)}
            path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What a checkpoint is that is no generator: known networks by their parameters' names, and the nearest known form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bench.generators.forms import Form, known_forms

# Networks that lie beside generators in this field, with a name that only they have.
OTHERS = {
    r"(.*\.)?body\.\d+\.res_layer\.\d+\.weight": "an IR-SE encoder, as of pSp and e4e",
    r"chain\.\d+\.odefunc\..*": "StyleFlow",
    r"(.*\.)?(course_mapping|medium_mapping|fine_mapping|mapper_\d+)\.mapping\.\d+\.weight": "a StyleCLIP mapper",
    r"(.*\.)?synthesis\.input\.(freqs|phases|transform)": "a StyleGAN3 generator",
    r"(.*\.)?b\d+\.fromrgb\.weight": "a StyleGAN2-ADA discriminator",
    r"(.*\.)?final_linear\.\d+\.weight": "a StyleGAN2 discriminator",
    r"(.*\.)?layer4\.\d+\.conv\d+\.weight": "a ResNet",
    r"(.*\.)?visual\.(transformer|conv1|proj).*": "a CLIP model",
    r"(.*\.)?model\.diffusion_model\..*": "a diffusion model",
}


def unknown_network(parts: Sequence[Iterable[str]]) -> str:
    """One line that says what networks these are not, with what they are where that is known, and the nearest form.

    parts: the parameters' names of each part of a checkpoint.
    """
    names = list(dict.fromkeys(name for part in parts for name in part))
    kinds = [kind for mark, kind in OTHERS.items() if any(re.fullmatch(mark, name) for name in names)]
    if kinds:
        return f"it holds {' and '.join(kinds)}, and no generator of a known form"
    what, forms = "it is no generator of a known form", known_forms()
    (far, lacking, excess), near = min(((_far(form, part), form) for part in parts for form in forms), key=lambda one: one[0][0])
    if far >= 1:
        return f"{what}, which are {', '.join(f'{form.architecture} as {form.name} writes it' for form in forms)}"
    reason = f"no parameter like {readable(lacking[0])}" if lacking else f"a parameter {excess[0]}, which that form has not"
    return f"{what}; the nearest is {near.architecture} as {near.name} writes it, but there is {reason}"


def _far(form: Form, names: Iterable[str]) -> tuple[float, list[str], list[str]]:
    """How far names are from a form, as the share of its marks that they miss, with those marks and the names against it."""
    names = list(names)
    lacking = [mark for mark in form.marks if not any(re.fullmatch(mark, name) for name in names)]
    excess = [name for name in names if any(re.fullmatch(mark, name) for mark in form.absent)]
    return len(lacking) / max(len(form.marks), 1) + bool(excess), lacking, excess


def readable(mark: str) -> str:
    """A mark as a user would write it (synthesis.layerN.weight): of alternatives the first, and nothing that may be absent."""
    mark = re.sub(r"\((?:[^()]|\([^()]*\))*\)\?", "", mark.replace(r"\d+", "N"))
    mark = re.sub(r"\(([^()|]*)\|[^()]*\)", r"\1", mark)
    return re.sub(r"\\(.)", r"\1", mark)

"""What can be said of a head: claims about factors, each with several wordings, some of them held out of all training.

A wording begins with its place in a sentence: 'adj:' before the noun ('old'), 'with:' after 'with' ('a beard'), none for the
rest ('looking up'). The first one is, with its noun, the prompt of the factor table. This module is data; captions.py reads it.
"""

from __future__ import annotations

from typing import NamedTuple

Span = tuple[float, float]


class Claim(NamedTuple):
    """One statement. name: factor and level. where: shares of factors' ranges (0 to 1, both ends in) within which it is true.

    phrases: the wordings that training may use. unseen: wordings of known words that training never uses.
    """

    name: str
    where: dict[str, Span]
    phrases: tuple[str, ...]
    unseen: tuple[str, ...] = ()

    @property
    def factor(self) -> str:
        """The factor it is about: one sentence makes one claim about a factor."""
        return self.name.split(":")[0]


LOW, MIDDLE, HIGH = (0.0, 0.36), (0.43, 0.57), (0.64, 1.0)
LEAST, MOST = (0.0, 0.15), (0.85, 1.0)
NO, YES = (0.0, 0.25), (0.75, 1.0)  # of an opacity


def _claim(factor: str, level: str, span: Span, *phrases: str, unseen: tuple[str, ...] = (), **also: Span) -> Claim:
    return Claim(f"{factor}:{level}", {factor: span, **also}, phrases, unseen)


def _colour(factor: str, level: str, span: Span, names: str) -> Claim:
    """Hair of a colour, while age has not greyed it."""
    first, *others = names.split("/")
    phrases = (*(f"with: {name} hair" for name in (first, *others)), f"adj: {first} haired", f"whose hair is {first}")
    return _claim(factor, level, span, *phrases, unseen=(f"whose hair is {others[0]}",), age=(0.0, 0.55))


def _wall(level: str, span: Span, names: str) -> Claim:
    first, *others = names.split("/")
    phrases = [form.format(name) for name in (first, *others) for form in (
        "with: a {} background", "against a {} background", "on a {} background", "in front of a {} wall",
    )]  # fmt: skip
    return _claim("background", level, span, *phrases, unseen=(f"against a {first} wall",))


CLAIMS: tuple[Claim, ...] = (
    _claim("yaw", "left", LOW, "turned to the left", "facing left", "turned left", "looking to the left", "looking left",
           unseen=("facing to the left",)),
    _claim("yaw", "right", HIGH, "turned to the right", "facing right", "turned right", "looking to the right", "looking right",
           unseen=("facing to the right",)),
    _claim("yaw", "front", MIDDLE, "facing the camera", "facing forward", "seen from the front", "looking straight ahead",
           unseen=("looking forward",)),
    _claim("yaw", "far left", LEAST, "turned far to the left", "facing far left"),
    _claim("yaw", "far right", MOST, "turned far to the right", "facing far right"),
    _claim("pitch", "down", LOW, "looking down", "with: a lowered head", "tilted down", "facing down", "with: the head lowered",
           unseen=("with: the head tilted down",)),
    _claim("pitch", "up", HIGH, "looking up", "with: a raised head", "tilted up", "facing up", "with: the head raised",
           unseen=("with: the head tilted up",)),
    _claim("light", "left", LOW, "lit from the left", "with: light from the left", "with: light on the left side",
           "with: a shadow on the right side", unseen=("with: the left side lit",)),
    _claim("light", "right", HIGH, "lit from the right", "with: light from the right", "with: light on the right side",
           "with: a shadow on the left side", unseen=("with: the right side lit",)),
    _claim("light", "front", MIDDLE, "lit from the front", "with: light from the front"),
    _claim("warmth", "cool", LOW, "in cool blue light", "in cold light", "in cool light", "in bluish light",
           unseen=("in cold blue light",)),
    _claim("warmth", "warm", HIGH, "in warm orange light", "in golden light", "in warm light", "in orange light",
           unseen=("in warm golden light",)),
    _claim("warmth", "white", MIDDLE, "in white light", "in neutral light"),
    _claim("age", "young", LOW, "adj: young", "adj: youthful", "with: smooth skin", "without wrinkles", "with: young skin",
           unseen=("with: youthful skin",)),
    _claim("age", "old", HIGH, "adj: old", "with: wrinkles", "adj: elderly", "adj: aged", "with: wrinkled skin",
           unseen=("with: old skin",)),
    _claim("age", "middle", MIDDLE, "adj: middle aged", "of middle age"),
    _claim("age", "very young", LEAST, "adj: very young", "with: very smooth skin"),
    _claim("age", "very old", MOST, "adj: very old", "with: grey hair", "with: deep wrinkles", "with: gray hair",
           unseen=("whose hair is grey",)),
    _claim("smile", "sad", LOW, "adj: frowning", "adj: unhappy", "with: a frown", "adj: sad", "with: a sad face", "not smiling",
           unseen=("with: an unhappy face",)),
    _claim("smile", "happy", HIGH, "adj: smiling", "adj: cheerful", "with: a smile", "adj: happy", "with: a happy face",
           "not frowning", unseen=("with: a cheerful face",)),
    _claim("smile", "neutral", MIDDLE, "with: a neutral expression", "adj: serious"),
    _claim("smile", "very happy", MOST, "with: a big smile", "with: a broad smile"),
    _claim("mouth_open", "closed", LOW, "with: a closed mouth", "with: closed lips", "with: the mouth closed",
           "with: a shut mouth", unseen=("whose mouth is closed",)),
    _claim("mouth_open", "open", HIGH, "with: an open mouth", "with: open lips", "with: the mouth open", "with: parted lips",
           unseen=("whose mouth is open",)),
    _claim("mouth_open", "wide", MOST, "with: a wide open mouth", "with: the mouth wide open"),
    _claim("eye_open", "narrow", LOW, "with: narrowed eyes", "with: narrow eyes", "adj: squinting", "with: half closed eyes",
           unseen=("whose eyes are narrow",)),
    _claim("eye_open", "open", HIGH, "with: wide open eyes", "with: open eyes", "with: raised brows", "with: big open eyes",
           unseen=("whose eyes are open",)),
    _claim("glasses", "yes", YES, "with: glasses", "with: eyeglasses", "wearing glasses", "with: spectacles",
           "wearing spectacles", "wearing a pair of glasses", unseen=("wearing eyeglasses",)),
    _claim("glasses", "no", NO, "without glasses", "with: no glasses", "not wearing glasses", "without spectacles",
           "with: no spectacles", unseen=("not wearing spectacles",)),
    _claim("beard", "yes", YES, "with: a beard", "with: a full beard", "adj: bearded", "with: facial hair", "wearing a beard",
           unseen=("wearing a full beard",)),
    _claim("beard", "no", NO, "adj: clean shaven", "without a beard", "with: no beard", "with: no facial hair",
           "not wearing a beard", unseen=("without facial hair",)),
    _claim("hair_length", "short", LOW, "with: short hair", "with: cropped hair", "adj: short haired", "whose hair is short",
           unseen=("whose hair is cropped",)),
    _claim("hair_length", "long", HIGH, "with: long hair", "adj: long haired", "whose hair is long",
           "with: hair below the shoulders", unseen=("with: long hair below the shoulders",)),
    _claim("hair_length", "medium", MIDDLE, "with: medium length hair", "whose hair is of medium length"),
    _claim("hair_length", "very long", MOST, "with: very long hair", "whose hair is very long"),
    _colour("hair_colour", "black", (0.0, 0.13), "black/dark"),
    _colour("hair_colour", "brown", (0.22, 0.45), "brown/chestnut"),
    _colour("hair_colour", "blond", (0.54, 0.76), "blond/blonde/yellow"),
    _colour("hair_colour", "red", (0.87, 1.0), "red/ginger/orange"),
    _claim("face_width", "narrow", LOW, "with: a narrow face", "with: a thin face", "with: a slim face", "whose face is narrow",
           unseen=("whose face is thin",)),
    _claim("face_width", "wide", HIGH, "with: a wide face", "with: a broad face", "with: a round face", "whose face is wide",
           unseen=("whose face is broad",)),
    _claim("nose_size", "small", LOW, "with: a small nose", "with: a little nose", "whose nose is small", "with: a tiny nose",
           unseen=("whose nose is little",)),
    _claim("nose_size", "big", HIGH, "with: a big nose", "with: a large nose", "whose nose is big", "with: a huge nose",
           unseen=("whose nose is large",)),
    _claim("skin_tone", "light", LOW, "with: light skin", "with: pale skin", "adj: light skinned", "adj: pale",
           unseen=("adj: pale skinned",)),
    _claim("skin_tone", "dark", HIGH, "with: dark skin", "with: brown skin", "adj: dark skinned", "whose skin is dark",
           unseen=("adj: brown skinned",)),
    _claim("skin_tone", "medium", MIDDLE, "with: tanned skin", "with: medium skin"),
    _wall("pink", (0.0, 0.30), "pink/rosy"),
    _wall("purple", (0.33, 0.48), "purple/violet"),
    _wall("blue", (0.51, 0.61), "blue"),
    _wall("teal", (0.65, 0.76), "turquoise/teal"),
    _wall("green", (0.81, 1.0), "green"),
    _claim("eye_spacing", "close", LOW, "with: close set eyes", "with: eyes close together", "with: eyes near each other",
           "whose eyes are close set", unseen=("whose eyes are close together",)),
    _claim("eye_spacing", "wide", HIGH, "with: wide set eyes", "with: eyes far apart", "with: eyes wide apart",
           "whose eyes are wide set", unseen=("whose eyes are far apart",)),
    _claim("jaw", "pointed", LOW, "with: a pointed chin", "with: a pointed jaw", "with: a narrow chin", "whose jaw is pointed",
           unseen=("whose chin is pointed",)),
    _claim("jaw", "square", HIGH, "with: a square jaw", "with: a square chin", "with: a broad jaw", "whose chin is square",
           unseen=("whose jaw is square",)),
)  # fmt: skip

# Claims that no sentence of the training makes together.
APART: tuple[tuple[str, str], ...] = (
    ("glasses:yes", "smile:happy"),
    ("beard:yes", "hair_length:long"),
    ("skin_tone:dark", "hair_colour:blond"),
    ("nose_size:big", "background:green"),
)

OPENERS = ("", "a picture of", "a photo of", "a portrait of", "an image of", "this is", "a rendering of")
UNSEEN_OPENERS = ("this is a picture of",)
NOUNS = ("person", "face", "head", "human")

"""Constructor arguments: flat, from the checkpoint and from the JSON file beside it, and never two of one name that differ."""

import json
import shutil

import pytest

from bench.checkpoints.arguments import agree, beside, flatten
from bench.checkpoints.reading import read_checkpoint
from bench.errors import InputError


def test_nested_arguments_become_flat():
    given = {"z_dim": 4, "class_name": "x", "mapping_kwargs": {"num_layers": 2}, "synthesis_kwargs": {"conv_clamp": None}}
    assert flatten(given, "here") == {"z_dim": 4, "num_layers": 2, "conv_clamp": None}
    assert flatten({"mapping_kwargs": {"activation": "lrelu"}, "synthesis_kwargs": {"activation": "lrelu"}}, "here") == {
        "activation": "lrelu"
    }
    with pytest.raises(InputError, match="num_layers is 2 in here, but 14 in here"):
        flatten({"mapping_kwargs": {"num_layers": 2}, "synthesis_kwargs": {"num_layers": 14}}, "here")
    with pytest.raises(InputError, match="mapping_kwargs is a mapping of arguments, not 3"):
        flatten({"mapping_kwargs": 3}, "here")


@pytest.mark.parametrize(
    "one, other, same", [(1, 1.0, True), ([1, 3], (1, 3), True), (1, True, False), (None, 256, False), (0.7, 0.5, False)]
)
def test_what_agrees(one, other, same):
    if same:
        assert agree({"a": one}, {"a": other, "b": 1}, "x", "y") == {"a": other, "b": 1}
    else:
        with pytest.raises(InputError, match="^a is .* in x, but .* in y$"):
            agree({"a": one}, {"a": other}, "x", "y")


def test_json_beside_a_checkpoint(layout, tmp_path):
    path = tmp_path / "net.pkl"
    shutil.copy(layout, path)
    assert beside(path) == {}
    (tmp_path / "net.json").write_text(json.dumps({"lr_multiplier": 0.02, "synthesis_kwargs": {"channel_max": 16}}))
    assert read_checkpoint(path).arguments["lr_multiplier"] == 0.02
    (tmp_path / "net.json").write_text('{"channel_max": 512}')
    with pytest.raises(InputError, match=r"net.pkl: channel_max is 16 in the checkpoint, but 512 in .*net.json"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "text, message",
    [
        ('{"a": 1', "cannot be read"),
        ("[1, 2]", "no JSON object"),
        ('{"a": 1, "a": 2}', "the key 'a' is given twice"),
        ("[" * 100_000, "cannot be read"),
        ("\udcff", "cannot be read"),
    ],
)
def test_broken_json_is_said_in_one_line(text, message, tmp_path, layout):
    path = tmp_path / "net.pkl"
    shutil.copy(layout, path)
    (tmp_path / "net.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError) as caught:
        read_checkpoint(path)
    assert message in str(caught.value) and "net.json" in str(caught.value) and str(caught.value).isprintable()


def test_the_card_of_a_generator_that_latentbench_trained(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"name": "a", "sha256": "0", "settings": {"conv_clamp": 256}}))
    assert beside(tmp_path / "a.safetensors") == {"conv_clamp": 256}

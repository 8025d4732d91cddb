"""Published file formats: each gives the same weights, and whatever is no checkpoint says what it is."""

import argparse
import shutil

import pickled
import pytest
import torch
from safetensors.torch import save_file

from bench.checkpoints.reading import file_format, read_checkpoint
from bench.errors import InputError


def assert_same(state, reference):
    assert state.keys() == reference.keys()
    for name, value in reference.items():
        assert torch.equal(state[name], value), name


def refused(path, message, **options):
    with pytest.raises(InputError) as caught:
        read_checkpoint(path, **options)
    said = str(caught.value)
    assert message in said and str(path) in said and said.isprintable(), said


# Snapshots.


def test_a_snapshot_gives_tensors_and_arguments_and_runs_nothing(layout, ada, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    got = read_checkpoint(layout)
    assert_same(got.state, ada)
    assert (got.format, got.part) == ("stylegan snapshot", "G_ema")
    assert got.arguments == {
        "z_dim": 32, "c_dim": 0, "w_dim": 32, "img_resolution": 32, "img_channels": 3, "channel_base": 256, "channel_max": 16,
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_another_part_of_a_snapshot(layout, ada):
    got = read_checkpoint(layout, part="G")
    assert torch.equal(got.state["mapping.fc0.weight"], ada["mapping.fc0.weight"] / 2)
    refused(layout, "unknown part 'G_em': did you mean G_ema", part="G_em")


def test_a_damaged_snapshot(layout, tmp_path):
    data = layout.read_bytes()
    for size in (3, 200, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.pkl").write_bytes(data[:size])
        refused(tmp_path / "cut.pkl", "damaged or cut off")


def test_arguments_by_position_and_numbers_of_numpy(tmp_path):
    """Official snapshots hold numpy scalars and None; a constructor may have been called by position."""
    half = pickled.call("numpy", "dtype", pickled.text("f8"), b"\x89", b"\x88")
    half += pickled.tuple_of(pickled.number(3), pickled.text("<"), *[b"N"] * 3, pickled.number(-1), pickled.number(-1)) + b"b"
    scalar = pickled.call("numpy.core.multiarray", "scalar", half, pickled.blob(b"\0\0\0\0\0\0\xe0?"))
    data = pickled.stored(pickled.legacy(pickled.storage()))
    given = {"a": scalar, "synthesis_kwargs": pickled.dict_of(conv_clamp=pickled.number(256), none=b"N")}
    body = pickled.module(tensors=pickled.weights(pickled.tensor(data)), arguments=pickled.dict_of(**given))
    body = body.replace(pickled.text("_init_args") + b")", pickled.text("_init_args") + pickled.number(64) + b"\x85")
    (tmp_path / "net.pkl").write_bytes(pickled.whole(pickled.dict_of(G_ema=body, D=b"N")))
    assert read_checkpoint(tmp_path / "net.pkl").arguments == {"z_dim": 64, "a": 0.5, "conv_clamp": 256, "none": None}


def test_a_stylegan3_snapshot_is_told_for_what_it_is(tmp_path):
    """Its modules keep arrays of numpy among their attributes, which are let by."""
    weight = pickled.tensor(pickled.stored(pickled.legacy(pickled.storage())))
    array = pickled.call("numpy.core.multiarray", "_reconstruct", pickled.named("numpy", "ndarray"), b")", pickled.blob(b"b"))
    array += pickled.tuple_of(
        pickled.number(1), b")", pickled.call("numpy", "dtype", pickled.text("i8")), b"\x89", pickled.blob(b"")
    )
    body = pickled.module(tensors=pickled.dict_of(**{"synthesis.input.freqs": weight, "mapping.fc0.weight": weight}))
    body = body.replace(pickled.text("_modules"), pickled.text("size") + array + b"b" + pickled.text("_modules"))
    (tmp_path / "net.pkl").write_bytes(pickled.whole(pickled.dict_of(G_ema=body)))
    refused(tmp_path / "net.pkl", "holds a StyleGAN3 generator")


def test_buffers_that_are_not_kept_are_left_out(tmp_path):
    weight = pickled.tensor(pickled.stored(pickled.legacy(pickled.storage())))
    body = pickled.module(tensors=pickled.weights(weight), buffers=pickled.dict_of(kept=weight, scratch=weight, absent=b"N"))
    mark = pickled.text("_modules")
    body = body.replace(mark, pickled.text("_non_persistent_buffers_set") + b"\x8f(" + pickled.text("scratch") + b"\x90" + mark)
    (tmp_path / "net.pkl").write_bytes(pickled.whole(pickled.dict_of(G=body)))
    assert {"kept", "scratch", "absent"} & read_checkpoint(tmp_path / "net.pkl").state.keys() == {"kept"}


@pytest.mark.parametrize("owner", ["dnnlib.tflib.network", "tfutil"])
def test_a_tensorflow_pickle_says_how_to_convert(owner, tmp_path):
    (tmp_path / "net.pkl").write_bytes(pickled.whole(pickled.call(owner, "Network")))
    refused(tmp_path / "net.pkl", "convert it first, StyleGAN2 with `python legacy.py --source=IN.pkl --dest=OUT.pkl`")


# Files of torch and safetensors.


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("suffix", [".pt", ".tar", ".pkl"])
def test_both_torch_forms_under_any_ending(old, suffix, ada, tmp_path):
    got = read_checkpoint(pickled.saved({"G_ema": ada, "step": 3}, tmp_path / f"a{suffix}", old=old))
    assert_same(got.state, ada)
    assert (got.format, got.part) == ("torch legacy" if old else "torch zip", "G_ema")


def test_a_header_as_long_as_a_pickles_first_byte_is_safetensors(tmp_path):
    """A header of 128 bytes, or so much and a multiple of 256, begins with the byte 0x80, as pickles do."""
    for length in range(0, 256, 8):
        save_file({"weight": torch.ones(1)}, tmp_path / "a.safetensors", metadata={"note": "x" * length})
        head = (tmp_path / "a.safetensors").read_bytes()[:8]
        if head[0] == 0x80:
            break
    assert head[0] == 0x80
    assert file_format(tmp_path / "a.safetensors") == "safetensors"


def test_safetensors(ada, tmp_path):
    save_file(ada, tmp_path / "a.pt", metadata={"code": "print()"})
    got = read_checkpoint(tmp_path / "a.pt")
    assert_same(got.state, ada)
    assert got.format == "safetensors"
    data = (tmp_path / "a.pt").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[: len(data) // 2])
    refused(tmp_path / "cut.safetensors", "damaged or no safetensors file")


@pytest.mark.parametrize("wrap", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_wrapped_state_dicts(wrap, ada, tmp_path):
    wrapped = {wrap + name: value for name, value in ada.items()}
    assert_same(read_checkpoint(pickled.saved(wrapped, tmp_path / "a.pth")).state, ada)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("old", [False, True])
def test_other_precisions_come_as_single(dtype, old, ada, tmp_path):
    other = {name: value.to(dtype) for name, value in ada.items()} | {"count": torch.tensor(3)}
    state = read_checkpoint(pickled.saved(other, tmp_path / "a.pt", old=old)).state
    assert state.pop("count").dtype == torch.int64
    assert {value.dtype for value in state.values()} == {torch.float32}
    assert torch.equal(state["mapping.w_avg"], ada["mapping.w_avg"].to(dtype).float())


def test_parameters_views_and_a_file_from_a_gpu(ada, tmp_path):
    """A transposed view keeps its strides; torch.cuda's storages, as old files of GPUs have them, are read on the CPU."""
    rows = torch.arange(12.0).view(3, 4)
    state = {**ada, "view": rows.t()[1:], "parameter": torch.nn.Parameter(rows)}
    got = read_checkpoint(pickled.saved(state, tmp_path / "a.pt", old=True)).state
    assert torch.equal(got["view"], rows.t()[1:]) and torch.equal(got["parameter"], rows)
    data = pickled.legacy(pickled.weights(pickled.tensor(pickled.storage(module="torch.cuda"))))
    (tmp_path / "gpu.pt").write_bytes(data.replace(pickled.text("cpu"), pickled.text("cuda:0")))
    got = read_checkpoint(tmp_path / "gpu.pt").state
    assert got["synthesis.b4.const"].tolist() == [0.0] * 4 and got["synthesis.b4.const"].device.type == "cpu"


def test_a_training_state_of_rosinality(rosinality, tmp_path):
    """Two generators, a discriminator, an optimizer and the command line: the average is taken, with latent_avg beside it."""
    moments = {"step": torch.tensor(1.0), "exp_avg": torch.ones(3), "exp_avg_sq": torch.ones(3)}
    optimizer = {"state": {0: moments}, "param_groups": [{"lr": 0.002, "betas": (0.0, 0.99), "params": [0]}]}
    other = {name: value + 1 for name, value in rosinality.items()}
    discriminator = {"convs.0.0.weight": torch.ones(1), "final_linear.0.weight": torch.ones(1)}
    value = {
        "g": other, "d": discriminator, "g_ema": rosinality, "g_optim": optimizer, "latent_avg": torch.ones(32),
        "args": argparse.Namespace(size=32, r1=10.0, path=None),
    }  # fmt: skip
    path = pickled.saved(value, tmp_path / "550000.pt")
    got = read_checkpoint(path)
    assert_same(got.state, rosinality)
    assert got.part == "g_ema" and list(got.extras) == ["latent_avg"]
    assert_same(read_checkpoint(path, part="g").state, other)


def test_the_decoder_of_an_encoder_model(rosinality, tmp_path):
    """pSp and e4e keep their generator under decoder. in state_dict."""
    state = {f"decoder.{name}": value for name, value in rosinality.items()}
    state |= {"encoder.input_layer.0.weight": torch.ones(4, 3, 1, 1), "encoder.input_layer.1.running_mean": torch.ones(4)}
    path = pickled.saved({"state_dict": state, "latent_avg": torch.ones(8, 32), "opts": {"a": 1}}, tmp_path / "e4e.pt")
    got = read_checkpoint(path)
    assert_same(got.state, rosinality)
    assert got.part == "state_dict/decoder" and got.extras["latent_avg"].shape == (8, 32)
    assert set(read_checkpoint(path, part="encoder").state) == {"input_layer.0.weight", "input_layer.1.running_mean"}


def test_of_several_generators_one_must_be_named(rosinality, tmp_path):
    path = pickled.saved(
        {"first": rosinality, "second": {name: value * 2 for name, value in rosinality.items()}}, tmp_path / "a.pt"
    )
    refused(path, "say which with `part`, one of first, second")
    assert_same(read_checkpoint(path, part="first").state, rosinality)


def test_expanded_tensors_stay_small(tmp_path):
    state = {name: torch.ones(1, 1).expand(4000, 4000) for name in ("mapping.fc0.weight", "synthesis.b4.const")}
    state["synthesis.b4.conv1.affine.weight"] = torch.ones(1)
    got = read_checkpoint(pickled.saved(state, tmp_path / "a.pt")).state
    assert got["mapping.fc0.weight"].shape == (4000, 4000) and got["mapping.fc0.weight"].untyped_storage().nbytes() == 4


@pytest.mark.parametrize("size", [1000, 0.5, 0.9, -100])
@pytest.mark.parametrize("old", [False, True])
def test_a_truncated_download(size, old, ada, tmp_path):
    path = pickled.saved(ada, tmp_path / "a.pt", old=old)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * size) if isinstance(size, float) else size])
    refused(path, "cut off")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(value, ada, tmp_path):
    weight = ada["mapping.fc0.weight"].clone()
    weight[1, 2] = value
    refused(pickled.saved({**ada, "mapping.fc0.weight": weight}, tmp_path / "a.pt"), "mapping.fc0.weight holds a NaN or infinity")


# What is no checkpoint.


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "an empty file: download it again"),
        (b"\n <!DOCTYPE html><html>Google Drive - Virus scan warning</html>", "a web page and not the file itself"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "a pointer of Git LFS"),
        (b"\x1f\x8b\x08\0", "compressed with gzip: unpack it"),
        (b"PK\3\4" + bytes(100), "damaged or cut off: its zip archive cannot be read"),
        (b"\x80\x04N.", "a pickle, but no snapshot"),
        (b"plain text", "no checkpoint of a known format"),
        (bytes(300), "no checkpoint of a known format"),
        (b"a".ljust(257, b"\0") + b"ustar" + bytes(250), "a tar archive: unpack it"),
    ],
)
def test_what_is_no_checkpoint_says_what_it_is(data, message, tmp_path):
    (tmp_path / "file.pt").write_bytes(data)
    refused(tmp_path / "file.pt", message)


def test_missing_files_folders_and_other_archives(layout, tmp_path):
    shutil.copy(layout, tmp_path / "ffhq.pkl")
    refused(tmp_path / "ffqh.pkl", "there is no such file: did you mean ffhq.pkl?")
    refused(tmp_path, "a directory")
    import numpy as np

    np.savez(tmp_path / "a.npz", a=np.ones(3))
    refused(tmp_path / "a.npz", "none that torch.save wrote")


@pytest.mark.parametrize(
    "names, message",
    [
        (["input_layer.0.weight", "body.0.res_layer.1.weight"], "holds an IR-SE encoder, as of pSp and e4e"),
        (["chain.1.odefunc.diffeq.layers.0._layer.weight"], "holds StyleFlow"),
        (["state_dict.mapper.course_mapping.mapping.1.weight"], "holds a StyleCLIP mapper"),
        (["synthesis.input.freqs", "mapping.fc0.weight"], "holds a StyleGAN3 generator"),
        (["b8.fromrgb.weight", "b4.fc.weight"], "holds a StyleGAN2-ADA discriminator"),
        (
            ["mapping.fc0.weight", "synthesis.b4.const"],
            "the nearest is stylegan2 as ada writes it, but there is no parameter like",
        ),
        (["some.weight"], "it is no generator of a known form, which are stylegan2 as ada writes it"),
    ],
)
def test_other_networks_are_told_apart(names, message, tmp_path):
    refused(pickled.saved({name: torch.ones(2) for name in names}, tmp_path / "a.pt"), message)


def test_files_without_tensors(tmp_path):
    for value in ({"epoch": 3}, [torch.ones(3)], torch.ones(3)):
        refused(pickled.saved(value, tmp_path / "a.pt"), "holds no tensors by name")

"""Released directions: every layout that papers used, in small, gives the edits it should; and what is exported comes back."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from bench.errors import InputError
from methods.base import Request
from methods.baselines.random_directions import RandomDirections
from methods.directions_io import Direction, read_directions, write_directions
from methods.editors import DirectionEditor, project_off, unit
from methods.published import Published
from methods.supervised.interfacegan import InterFaceGAN

# The toy generator: z has 8 dimensions, w 12, w+ 4 rows.
ATTRIBUTES = ("age", "eyeglasses", "gender")


def vectors(*shape, seed=0):
    return unit(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)))


def moved(fitted, generator, codes, target, strength=1.5, **request):
    """What an edit adds to codes."""
    path = fitted.editor.path(codes(generator), [Request(target, **request)])
    return path.at(strength).codes.values - path.at(0).codes.values


@pytest.fixture
def interfacegan(tmp_path):
    """A folder as InterFaceGAN's, for two generators and both spaces; gives it with its vectors."""
    made = {}
    for model, width in (("pggan_celebahq", 8), ("stylegan_ffhq", 12)):
        for i, name in enumerate(ATTRIBUTES):
            for tag, size in (("", 8), ("_w", 12)) if width == 12 else (("", 8),):
                value = vectors(1, size, seed=10 * i + size).double().numpy()
                made[f"{model}_{name}{tag}"] = torch.from_numpy(value[0]).float()
                np.save(tmp_path / f"{model}_{name}{tag}_boundary.npy", value)
    np.save(tmp_path / "stylegan_ffhq_age_c_gender_boundary.npy", vectors(1, 8, seed=77).numpy())
    return tmp_path, made


def test_boundaries_of_interfacegan_edit_as_they_are(interfacegan, context, codes):
    folder, made = interfacegan
    ctx = context()
    method = Published(path=str(folder), match="stylegan_ffhq_*", space="w", names={"eyeglasses": "glasses"})
    assert method.space == "w" and method.supports(ctx.generator.info, ctx.domain) is None
    fitted = method.fit(ctx)
    assert fitted.editor.targets == ("age", "glasses", "gender")
    for name, file in (("age", "age_w"), ("glasses", "eyeglasses_w")):
        expected = 1.5 * made[f"stylegan_ffhq_{file}"]
        torch.testing.assert_close(moved(fitted, ctx.generator, codes, name), expected.expand(5, 12), rtol=1e-5, atol=1e-5)
    in_z = Published(path=str(folder), match=["stylegan_ffhq_*", "nothing"], space="z").fit(ctx)
    assert in_z.editor.targets == ("age", "age_c_gender", "eyeglasses", "gender")
    torch.testing.assert_close(
        moved(in_z, ctx.generator, codes, "gender"), 1.5 * made["stylegan_ffhq_gender"].expand(5, 8), rtol=1e-5, atol=1e-5
    )
    alone = Published(path=str(folder / "stylegan_ffhq_age_w_boundary.npy"))
    assert alone.space == "w" and alone.fit(ctx).editor.names == ("age",)
    assert Published(path=str(folder / "pggan_celebahq_age_boundary.npy")).space == "z"


def test_conditions_are_projected_off_jointly(interfacegan, context, codes):
    """Three boundaries that lean on each other: the joint projection is orthogonal to both conditions, the sequential is not.

    With two conditions the published conditional boundaries are the joint one (the sequential one has a cosine of 0.976 to 0.996
    with them, depending on the boundaries).
    """
    folder, _ = interfacegan
    lean = torch.tensor([[1.0, 0, 0], [0.7, 0.7, 0.1], [0.1, 0.9, 0.4]])
    three = unit(lean @ torch.linalg.qr(torch.randn(12, 3, generator=torch.Generator().manual_seed(1)))[0].T)
    for name, value in zip(ATTRIBUTES, three, strict=True):
        np.save(folder / f"stylegan_ffhq_{name}_w_boundary.npy", value[None].double().numpy())
    fitted = Published(path=str(folder), match="stylegan_ffhq_*", space="w", hold=["eyeglasses", "gender"]).fit(context())
    found = moved(fitted, context().generator, codes, "age", 1.0)[0].double()
    primal, *conditions = three.double()
    basis = torch.linalg.qr(torch.stack(conditions).T)[0]
    joint = primal - basis @ (basis.T @ primal)
    sequential = primal.clone()
    for condition in conditions:
        sequential = sequential - (sequential @ condition) * condition
    cosine = lambda a, b: float(a @ b / a.norm() / b.norm())  # noqa: E731
    assert cosine(found, joint) > 0.999999 and cosine(found, sequential) < 0.99
    assert all(abs(cosine(found, one)) < 1e-5 for one in conditions)
    assert cosine(project_off(primal, torch.stack(conditions[::-1])), joint) > 1 - 1e-12  # whatever their order
    # One condition: both are the same.
    single = primal - (primal @ conditions[0]) * conditions[0]
    assert cosine(project_off(primal, conditions[0][None]), single) > 1 - 1e-12


def test_tensors_of_e4e_edit_w_or_every_layer(tmp_path, context, codes):
    ctx = context()
    age, pose = vectors(1, 12, seed=1), vectors(4, 12, seed=2)[None]
    torch.save(age, tmp_path / "age.pt")
    torch.save(pose, tmp_path / "pose.pt")
    flat = Published(path=str(tmp_path / "age.pt")).fit(ctx)
    torch.testing.assert_close(moved(flat, ctx.generator, codes, "age", 2.0), 2 * age.expand(5, 12), rtol=1e-5, atol=1e-5)
    method = Published(path=str(tmp_path))
    both = method.fit(ctx)
    assert method.space == "w+" and both.editor.targets == ("age", "pose")
    torch.testing.assert_close(moved(both, ctx.generator, codes, "pose", 2.0), 2 * pose.expand(5, 4, 12), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        moved(both, ctx.generator, codes, "age", 2.0), 2 * age[None].expand(5, 4, 12), rtol=1e-5, atol=1e-5
    )


def test_components_count_in_standard_deviations(tmp_path, context, codes):
    ctx = context(budget=3)
    comp, std = vectors(6, 12, seed=3), torch.tensor([3.0, 2.0, 1.5, 1.0, 0.5, 0.25])
    torch.save({"mean": torch.ones(1, 12), "comp": comp[:, None], "std": std}, tmp_path / "pca.pt")
    dump = {"lat_comp": comp[:, None].numpy(), "lat_stdev": std.numpy(), "lat_mean": np.ones((1, 12)), "act_comp": comp.numpy()}
    np.savez(tmp_path / "dump.npz", **dump)
    for file in ("pca.pt", "dump.npz"):
        fitted = Published(path=str(tmp_path / file)).fit(ctx)
        assert fitted.editor.targets == ("0", "1", "2")  # as many as every method without names offers
        torch.testing.assert_close(
            moved(fitted, ctx.generator, codes, "1", 1.5), (3 * comp[1]).expand(5, 12), rtol=1e-5, atol=1e-5
        )


def test_an_exported_direction_of_ganspace_moves_its_layers(tmp_path, context, codes):
    ctx = context()
    value = vectors(1, 12, seed=4).numpy()
    fields = {"name": "Light direction", "lat_comp": value, "lat_stdev": 1.25, "edit_start": 1, "edit_end": 3}
    np.savez(tmp_path / "light.npz", **fields, latent_space="W", sigma_range=-2.8, **{"decomposition/name": "ipca"})
    method = Published(path=str(tmp_path / "light.npz"), names={"Light direction": "light"})
    change = moved(method.fit(ctx), ctx.generator, codes, "light", 2.0)
    assert method.space == "w+" and not change[:, [0, 3]].any()  # the end is excluded
    torch.testing.assert_close(change[:, [1, 2]], 2.5 * torch.from_numpy(value).expand(5, 2, 12), rtol=1e-5, atol=1e-5)
    whole = Published(path=str(tmp_path / "light.npz"), layers="0:1").fit(ctx)
    assert moved(whole, ctx.generator, codes, "Light direction").any(2).tolist() == [[True, False, False, False]] * 5


def test_boundaries_of_higan_move_the_layers_that_each_names(tmp_path, context, codes):
    ctx = context()
    wood, view = vectors(1, 12, seed=5), vectors(1, 12, seed=6)
    named = {"wood/boundary": wood.numpy(), "wood/meta_data/manipulate_layers": "1-2", "wood/meta_data/type": "attribute"}
    np.savez(tmp_path / "bedroom.npz", **named, **{"view/boundary": view.numpy()})
    method = Published(path=str(tmp_path / "bedroom.npz"))
    fitted = method.fit(ctx)
    assert method.space == "w+" and fitted.editor.targets == ("view", "wood")
    change = moved(fitted, ctx.generator, codes, "wood", 1.0)
    assert not change[:, [0, 3]].any()  # both ends are meant
    torch.testing.assert_close(change[:, 1:3], wood.expand(5, 2, 12), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(moved(fitted, ctx.generator, codes, "view", 1.0), view.expand(5, 4, 12), rtol=1e-5, atol=1e-5)
    assert [(one["direction"], one["layers"]) for one in fitted.tables["published"]] == [("view", "all"), ("wood", "1+2")]
    np.savez(tmp_path / "bedroom.npz", **named | {"wood/meta_data/manipulate_layers": "3-4"})
    reason = Published(path=str(tmp_path)).supports(ctx.generator.info, ctx.domain)
    assert reason == "the direction wood (bedroom.npz) moves the layer 4, and toy has the layers 0 to 3"


def test_walks_with_a_row_per_layer_and_columns(tmp_path, context, codes):
    ctx = context()
    walk, column = 3 * vectors(4, 12, seed=7), vectors(1, 12, seed=8)
    np.savez(tmp_path / "walks.npz", **{"cars/rotate": walk.numpy(), "biggan/zoom": column[:, :, None].numpy()})
    fitted = Published(path=str(tmp_path / "walks.npz"), space="w+", match="cars/*").fit(ctx)
    torch.testing.assert_close(
        moved(fitted, ctx.generator, codes, "cars/rotate", 1.0), walk.expand(5, 4, 12), rtol=1e-5, atol=1e-5
    )
    zoom = Published(path=str(tmp_path / "walks.npz"), match="biggan/*").fit(ctx)
    torch.testing.assert_close(moved(zoom, ctx.generator, codes, "biggan/zoom", 1.0), column.expand(5, 12), rtol=1e-5, atol=1e-5)
    assert len(read_directions(tmp_path / "walks.npz", ["cars/*"])) == 4  # without a layered space they are four directions


@pytest.mark.parametrize("kind", ["npy", "pt", "safetensors"])
@pytest.mark.parametrize("case", ["interfacegan", "held", "random", "rows", "layered"])
def test_what_is_exported_edits_the_same(tmp_path, context, codes, kind, case):
    ctx = context()
    generator = ctx.generator
    editor = {
        "interfacegan": lambda: InterFaceGAN().fit(ctx).editor,
        "held": lambda: InterFaceGAN(space="z", hold=["age"]).fit(ctx).editor,
        "random": lambda: RandomDirections().fit(ctx).editor,
        "rows": lambda: DirectionEditor(
            generator, vectors(2, 12), ("a b", "c/d"), "w+", rows=(1, 3), scale=torch.tensor([2.0, 0.3])
        ),
        "layered": lambda: DirectionEditor(generator, vectors(2, 4, 12), ("smile", "age"), "w+"),
    }[case]()
    plain = DirectionEditor(generator, editor.directions, editor.names, editor.space, editor.rows, hold=editor.hold)
    scales = torch.ones(len(editor.names)) if editor.scale is None else editor.scale
    directions = [
        Direction(name, plain.step(Request(name)), "", editor.space, editor.rows, float(scale))
        for name, scale in zip(editor.names, scales, strict=True)
    ]
    card = {"method": case, "generator_sha": generator.fingerprint, "space": str(editor.space)}
    files = write_directions(tmp_path / "out", directions, kind, card, "toy")
    assert all(file.exists() for file in files) and files[-1].name == "directions.json"
    method = Published(path=str(tmp_path / "out"))
    assert method.space == str(editor.space)
    fitted = method.fit(ctx)
    again = method.restore(ctx, fitted.state())
    assert set(fitted.editor.targets) == set(editor.names) and again.tables == fitted.tables
    assert all(line["same_weights"] is True for line in fitted.tables["published"])
    for name in editor.names:
        expected = editor.path(codes(generator), [Request(name)]).at(1.7).codes
        for one in (fitted, again):
            got = one.editor.path(codes(generator), [Request(name)]).at(1.7).codes
            assert got.space == expected.space and torch.equal(got.values, expected.values)
    if kind == "npy" and case == "interfacegan":  # what others read: [1, D], unit length, under the published kind of name
        value = np.load(tmp_path / "out" / "toy_smile_w_boundary.npy", allow_pickle=False)
        assert value.shape == (1, 12) and np.linalg.norm(value) == pytest.approx(1, abs=1e-6)
        assert Published(path=str(tmp_path / "out" / "toy_smile_w_boundary.npy")).fit(ctx).editor.names == ("smile",)


def test_other_files_are_another_fit(tmp_path):
    np.save(tmp_path / "smile.npy", vectors(1, 12).numpy())
    first = Published(path=str(tmp_path))
    assert first.options.model_dump(mode="json")["content"] == first.options.content
    assert first.variant == f"path={tmp_path.name},content={first.options.content}"
    np.save(tmp_path / "smile.npy", vectors(1, 12, seed=1).numpy())
    second = Published(path=str(tmp_path), space="w", match="s*", hold=["x"], names={"smile": "grin"})
    assert second.options.content != first.options.content
    assert second.variant.endswith("match=s*,space=w,names=smile>grin,hold=x") and str(tmp_path.parent) not in second.variant
    (tmp_path / "directions.json").write_text('{"space": "w", "directions": []}')
    assert Published(path=str(tmp_path)).options.content != second.options.content


def test_what_does_not_fit_is_said(interfacegan, tmp_path, context, domain):
    folder, _ = interfacegan
    ctx = context()
    info = ctx.generator.info
    narrow = Published(path=str(folder / "pggan_celebahq_age_boundary.npy"), space="w")
    with pytest.raises(InputError, match="holds directions of z, and none of w"):
        narrow.fit(ctx)
    np.save(folder / "odd.npy", np.ones((1, 7)))
    method = Published(path=str(folder / "odd.npy"))
    assert method.supports(info, domain) == "the direction odd (odd.npy) has the shape [7], and codes in w of toy have [12]"
    with pytest.raises(InputError, match=r"has the shape \[7\]"):
        method.fit(ctx)
    assert Published(path=str(folder / "odd.npy"), space="p").supports(info, domain) == "toy has no space p"
    with pytest.raises(InputError, match="directions of w and z: choose with the option space or match"):
        Published(path=str(folder), match="stylegan_*").fit(ctx)
    with pytest.raises(InputError, match="two directions named age .*: choose with the option match"):
        Published(path=str(folder), space="z").fit(ctx)
    with pytest.raises(InputError, match="unknown direction 'glases': did you mean eyeglasses"):
        Published(path=str(folder), match="pggan_*", names={"glases": "glasses"}).fit(ctx)
    with pytest.raises(InputError, match="no direction that matches x"):
        Published(path=str(folder), match="x").fit(ctx)
    with pytest.raises(InputError, match="unknown direction 'beard'"):
        Published(path=str(folder), match="stylegan_*", space="w", hold=["beard"]).fit(ctx)
    for wrong in ({"path": str(folder / "none")}, {"path": str(folder), "layers": "3"}, {"path": str(folder), "space": "q"}, {}):
        with pytest.raises(ValidationError):
            Published(**wrong)


class Hostile:
    def __reduce__(self):
        import os

        return os.mkdir, ("hostile",)


def test_files_that_are_no_directions_are_refused_and_run_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad = tmp_path / "bad"
    bad.mkdir()
    np.save(bad / "object.npy", np.array([Hostile()]), allow_pickle=True)
    np.savez(bad / "object.npz", smile=np.array([Hostile()], dtype=object))
    torch.save(Hostile(), bad / "hostile.pt")
    (bad / "plain.pt").write_bytes(pickle.dumps(Hostile()))
    (bad / "page.npy").write_text("<html>")
    (bad / "page.npz").write_text("<html>")
    (bad / "page.pt").write_text("<html>")
    (bad / "page.safetensors").write_text("<html>")
    torch.save([1, 2], bad / "list.pt")
    torch.save({"smile": "a word"}, bad / "word.pt")
    np.save(bad / "nan.npy", np.full((1, 4), np.nan))
    np.save(bad / "zero.npy", np.zeros((1, 4)))
    np.save(bad / "deep.npy", np.ones((1, 2, 3, 4)))
    np.save(bad / "empty.npy", np.ones((0, 4)))
    np.savez(bad / "std.npz", lat_comp=np.ones((3, 1, 4)), lat_stdev=np.ones(2))
    np.savez(bad / "layers.npz", **{"a/boundary": np.ones((1, 4)), "a/meta_data/manipulate_layers": "six"})
    (bad / "text.txt").write_text("")
    for file in bad.iterdir():
        with pytest.raises(InputError) as error:
            read_directions(file)
        assert "\n" not in str(error.value) and file.name in str(error.value), file
    assert not (tmp_path / "hostile").exists()
    with pytest.raises(InputError, match="holds no directions"):
        (tmp_path / "none").mkdir()
        read_directions(tmp_path / "none")
    np.save(tmp_path / "none" / "a.npy", np.ones((1, 4)))
    (tmp_path / "none" / "directions.json").write_text(json.dumps({"space": "w"}))
    with pytest.raises(InputError, match="the card .* is damaged"):
        read_directions(tmp_path / "none")


def test_what_cannot_be_written_is_said(tmp_path):
    one = Direction("a", torch.ones(3), "", None)
    with pytest.raises(InputError, match="unknown format 'mat'"):
        write_directions(tmp_path, [one], "mat", {"space": "w"}, "g")
    with pytest.raises(InputError, match="too alike for files"):
        write_directions(tmp_path, [one, Direction("a ", torch.ones(3), "")], "npy", {"space": "w"}, "g")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="nothing can be written to"):
        write_directions(tmp_path / "file", [one], "npy", {"space": "w"}, "g")

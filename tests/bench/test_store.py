"""The store: what comes out is what went in, and what is damaged is computed again."""

import os

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.cache import cache_folder
from bench.store import Store, StoreError, StoreWarning, key_hash

KEY = {"what": "bank", "size": 3}


def test_round_trip_of_every_kind(tmp_path):
    store = Store(tmp_path)
    arrays = {
        "f": torch.randn(3, 4)[:, ::2], "d": np.arange(6.0).reshape(2, 3).T, "i": torch.tensor(7), "b": np.array([True, False]),
        "u": np.arange(256, dtype=np.uint8).reshape(16, 16), "none": np.zeros((0, 5)), "nan": np.array([np.nan, np.inf]),
    }  # fmt: skip
    put = store.put("fit", KEY, arrays, {"seconds": np.float64(1.5), "rows": (1, 2), "gap": float("nan")})
    got = store.get("fit", KEY)
    for name, value in arrays.items():
        value = torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value
        assert got.tensors[name].dtype == value.dtype and got.tensors[name].shape == value.shape
        assert torch.equal(torch.nan_to_num(got.tensors[name]), torch.nan_to_num(value))
        assert torch.equal(torch.nan_to_num(put.tensors[name]), torch.nan_to_num(value))
    assert got.meta["seconds"] == 1.5 and got.meta["rows"] == [1, 2] == put.meta["rows"] and got.meta["gap"] != got.meta["gap"]
    assert store.get("cell", KEY) is None and store.get("fit", {**KEY, "size": 4}) is None


def test_an_entry_with_nothing_in_it(tmp_path):
    store = Store(tmp_path)
    store.put("fit", KEY, {})
    assert store.get("fit", KEY).tensors == {}


def test_only_numbers_are_kept(tmp_path):
    with pytest.raises(TypeError, match="numbers only"):
        Store(tmp_path).put("fit", KEY, {"names": np.array(["a", "b"])})
    with pytest.raises(TypeError):
        key_hash({"size": np.zeros(2)})


@given(st.data())
def test_any_damage_is_seen(tmp_path_factory, data):
    store = Store(tmp_path_factory.mktemp("store"))
    path = store.path("bank", KEY)
    store.put("bank", KEY, {"codes": torch.arange(12.0)}, {"n": 1})
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        # Past the length field; white space that pads the header means nothing and is left alone.
        places = [i for i in range(8, len(whole)) if whole[i : i + 1] != b" "]
        place = data.draw(st.sampled_from(places))
        flipped = whole[place] ^ data.draw(st.integers(1, 127))
        damaged = whole[:place] + bytes([flipped]) + whole[place + 1 :]
    path.write_bytes(damaged)
    with pytest.warns(StoreWarning, match="is damaged .* computed again"):
        again = store.get_or_compute("bank", KEY, lambda: {"codes": torch.arange(12.0)})
    assert torch.equal(again["codes"], torch.arange(12.0))
    assert torch.equal(store.get("bank", KEY).tensors["codes"], torch.arange(12.0))


def test_computed_once_and_written_whole(tmp_path):
    store, calls = Store(tmp_path), []
    compute = lambda: calls.append(1) or {"x": torch.ones(2)}  # noqa: E731
    for _ in range(3):
        assert torch.equal(store.get_or_compute("bank", KEY, compute)["x"], torch.ones(2))
    assert len(calls) == 1
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == [store.path("bank", KEY).name]


def test_a_write_that_dies_leaves_no_entry(tmp_path, monkeypatch):
    store = Store(tmp_path)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        store.put("bank", KEY, {"x": torch.ones(2)})
    assert store.get("bank", KEY) is None and not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_no_space_and_no_folder_are_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="cannot be written .*: free space or set LATENTBENCH_CACHE") as caught:
        Store(tmp_path / "file").put("bank", KEY, {"x": torch.ones(2)})
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StoreError, match="No space left on device"):
        Store(tmp_path / "full").put("bank", KEY, {"x": torch.ones(2)})


def test_the_cache_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("LATENTBENCH_CACHE", str(tmp_path / "elsewhere"))
    assert cache_folder() == tmp_path / "elsewhere" and Store().root == tmp_path / "elsewhere" / "store"
    monkeypatch.delenv("LATENTBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "latentbench"

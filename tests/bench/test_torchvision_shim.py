"""torchvision beside a torch that its library was not built for, and beside one that it was."""

import subprocess
import sys
from types import ModuleType

import pytest
import torch

from bench import torchvision_shim
from bench.errors import UnsupportedError
from bench.torchvision_shim import ensure_torchvision, nms


def greedy(boxes, scores, threshold):
    """Suppression box by box in Python floats."""

    def overlap(a, b):
        width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        shared = max(width, 0) * max(height, 0)
        return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)

    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(overlap(boxes[i], boxes[k]) <= threshold for k in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.7])
def test_nms_keeps_what_greedy_suppression_keeps(seed, threshold):
    random = torch.Generator().manual_seed(seed)
    corner = torch.rand(40, 2, generator=random, dtype=torch.float64) * 4
    boxes = torch.cat([corner, corner + 1 + torch.rand(40, 2, generator=random, dtype=torch.float64) * 3], 1)
    scores = torch.randperm(40, generator=random).double()
    kept = nms(boxes, scores, threshold)
    assert kept.tolist() == greedy(boxes.tolist(), scores.tolist(), threshold)
    assert 1 < len(kept) < 40


def test_nms_keeps_ties_in_order_and_needs_more_than_the_threshold():
    boxes = torch.tensor([[0.0, 0, 3, 1], [1, 0, 4, 1], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert nms(boxes[:2], torch.ones(2), 0.5).tolist() == [0, 1]  # a half is not above a half
    assert nms(boxes[:2], torch.ones(2), 0.499).tolist() == [0]
    assert nms(boxes[2:], torch.ones(2), 0.5).tolist() == [0, 1]  # 0 / 0 removes nothing
    assert nms(torch.empty(0, 4), torch.empty(0), 0.5).shape == (0,)


def test_torchvision_imports_and_its_nms_answers():
    for _ in range(2):
        ensure_torchvision()
    import torchvision

    boxes = torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 0.9], [2, 2, 3, 3]])
    assert torchvision.ops.nms(boxes, torch.tensor([0.1, 0.2, 0.3]), 0.5).tolist() == [2, 1]
    # batched_nms, the caller in facenet-pytorch, keeps boxes of different groups apart.
    assert torchvision.ops.batched_nms(boxes, torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0, 1, 0]), 0.5).tolist() == [2, 1, 0]


@pytest.fixture
def fake_torchvision(monkeypatch):
    """Stand-in modules, whose operators are there or not."""
    asserted = object()
    names = ("torchvision", "torchvision.extension", "torchvision.ops", "torchvision.ops.boxes")
    modules = {name: ModuleType(name) for name in names}
    modules["torchvision.ops.boxes"]._assert_has_ops = asserted
    for name in [name for name in sys.modules if name == "torchvision" or name.startswith("torchvision.")]:
        monkeypatch.delitem(sys.modules, name)
    registered = []
    monkeypatch.setattr(torchvision_shim, "_register", lambda: registered.append(True))

    def install(healthy):
        monkeypatch.setattr(torchvision_shim, "library_loads", lambda: healthy)
        has_ops = lambda: healthy  # noqa: E731
        modules["torchvision.extension"]._has_ops = has_ops

        def load(name):
            sys.modules.update(modules)
            return modules[name]

        monkeypatch.setattr(torchvision_shim, "import_module", load)
        return modules, registered, asserted, has_ops

    yield install
    for name in modules:
        sys.modules.pop(name, None)


def test_a_torchvision_whose_library_loads_is_left_alone(fake_torchvision):
    modules, registered, asserted, has_ops = fake_torchvision(True)
    ensure_torchvision()
    assert not registered
    assert modules["torchvision.ops.boxes"]._assert_has_ops is asserted
    assert modules["torchvision.extension"]._has_ops is has_ops


def test_a_broken_torchvision_gets_nms_once_and_still_says_that_it_has_no_operators(fake_torchvision):
    modules, registered, asserted, has_ops = fake_torchvision(False)
    ensure_torchvision()
    ensure_torchvision()
    assert registered == [True]
    assert modules["torchvision.ops.boxes"]._assert_has_ops is not asserted
    assert modules["torchvision.extension"]._has_ops is has_ops and not has_ops()


def test_a_library_of_another_torch_does_not_load_and_an_absent_one_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("")
    (tmp_path / "torchvision" / "_C.so").write_bytes(b"not a library")
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert not torchvision_shim.library_loads()
    loaded = []
    monkeypatch.setattr(torch.ops, "load_library", loaded.append)
    assert torchvision_shim.library_loads()
    assert loaded == [str(tmp_path / "torchvision" / "_C.so")]
    monkeypatch.setattr(torchvision_shim, "find_spec", lambda name: None)
    with pytest.raises(UnsupportedError, match="pip install torchvision"):
        ensure_torchvision()


def test_a_fresh_process_imports_torchvision_after_the_call():
    script = "from bench.torchvision_shim import ensure_torchvision as e; e(); e(); import torchvision.models; print('imported')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "imported", done.stderr

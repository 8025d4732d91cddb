"""Training and measuring the segmenters and text-image networks of heads: labels follow their pictures, figures are right."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from bench.domains.heads.captions import consistent, grammar, holds
from bench.domains.heads.factors import CLASSES, FACTORS, INDEX
from bench.domains.heads.segmenter import SEGMENTERS, HeadsSegmenter, segmenter
from bench.domains.heads.text_networks import PAD, TEXT_SPECS, UNKNOWN, HeadsTextImage, Vocabulary
from bench.errors import InputError
from bench.generators.weights import load_card
from bench.training import heads_segmenters, heads_text
from bench.training.heads_loop import Recipe
from bench.training.heads_mask_pool import MaskPool, load_mask_pool, mask_pool
from bench.training.heads_pool import person_factors, render_bytes
from bench.training.heads_segmenter_cards import class_iou, confusion, damaged, mask_figures
from bench.training.heads_text_cards import auc, retrieval, unseen_prompts, zero_shot

TINY = Recipe(pairs=8, batch=4, checkpoint_seconds=0.2)


@pytest.fixture(scope="module")
def pool() -> MaskPool:
    return mask_pool(person_factors(8, seed=1, independent=True))


def test_pool_is_rendered_once_and_is_the_other_pools_pictures(tmp_path):
    first = load_mask_pool(tmp_path, pairs=2, seed=4, independent=True)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = load_mask_pool(tmp_path, pairs=2, seed=4, independent=True)
    assert len(stamps) == 2 and {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == stamps
    assert np.array_equal(first.classes, again.classes) and np.array_equal(first.images, render_bytes(first.factors))
    assert first.classes.shape == (4, 64, 64) and first.labels(slice(0, 2)).dtype == torch.int64


def test_labels_follow_the_pictures(pool):
    """Pictures whose colour is their class: after every shift and mirroring, colour and label must still agree."""
    painted = np.repeat(pool.classes[:, None] * 20, 3, 1)
    coloured = MaskPool(painted, pool.factors, pool.classes)
    plain = Recipe(pairs=8, batch=4, blur=0, noise=0, gain=0, offset=0)
    seen = []
    for seed in range(6):
        batch = heads_segmenters.draw_painted(coloured, plain, torch.Generator().manual_seed(seed))
        assert torch.equal(((batch.images[:, 0] + 1) * 127.5 / 20).round().long(), batch.labels)
        seen.append(batch.labels)
    assert not torch.equal(seen[0], seen[1])
    for images, labels in damaged(coloured, Recipe(pairs=8, batch=4, blur=1e-9, noise=0, gain=0, offset=0), batches=2):
        inside = (slice(None), slice(2, -2), slice(2, -2))
        assert torch.equal(((images[:, 0] + 1) * 127.5 / 20).round().long()[inside], labels[inside])


def test_rare_classes_weigh_more(pool):
    weights = heads_segmenters.class_weights(pool, 16)
    share = torch.bincount(pool.labels(slice(None)).flatten(), minlength=len(CLASSES)) / pool.classes.size
    assert (weights * share).sum() == pytest.approx(1, abs=1e-5)
    assert weights[CLASSES.index("brows")] > 4 * weights[CLASSES.index("background")]


def test_overlap_loss_closed_forms():
    labels = torch.zeros(1, 2, 2, dtype=torch.int64)
    labels[0, 0] = 1
    right = 50.0 * torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).float()
    assert heads_segmenters.overlap_loss(right, labels) == pytest.approx(0, abs=1e-6)
    assert heads_segmenters.overlap_loss(right[:, [1, 0, 2]], labels) == pytest.approx(1, abs=1e-6)
    flat = torch.zeros(1, 3, 2, 2)  # each class: 2 (2/3) / (4/3 + 2) = 0.4; the absent third one does not count
    assert heads_segmenters.overlap_loss(flat, labels) == pytest.approx(0.6, abs=1e-6)


def test_iou_closed_forms():
    truth = torch.zeros(2, 2, 2, dtype=torch.int64)
    truth[0, 0] = 1
    predicted = truth.clone()
    predicted[0, 0, 0] = 0
    counts = confusion(predicted, truth)
    assert counts.shape == (2, 10, 10) and counts.sum() == 8 and counts[0, 1].tolist()[:3] == [1, 1, 0]
    assert class_iou(counts.numpy())[:2].tolist() == [6 / 7, 1 / 2]
    figures = mask_figures(counts)
    assert figures["pixel_accuracy"][0] == 7 / 8 and figures["n"] == 2
    assert figures["pictures_with"]["hair"] == 1 and figures["iou"]["background"][0] == pytest.approx(6 / 7, abs=1e-4)


@pytest.mark.parametrize("name", SEGMENTERS)
def test_segmenting_loss_falls_on_one_batch(pool, name):
    torch.manual_seed(0)
    learner = heads_segmenters.Learner(SEGMENTERS[name], heads_segmenters.class_weights(pool, 16))
    batch = heads_segmenters.draw_painted(pool, TINY, torch.Generator().manual_seed(1))
    losses = fall(learner, batch, 6)
    assert losses[-1] < 0.85 * losses[0] and all(p.grad is not None for p in learner.parameters())


@pytest.mark.parametrize("name", TEXT_SPECS)
def test_matching_loss_falls_on_one_batch(pool, name):
    torch.manual_seed(0)
    spec = TEXT_SPECS[name]
    vocabulary = Vocabulary(grammar(spec.role).words())
    learner = heads_text.Learner(spec, len(vocabulary))
    batch = heads_text.draw_captioned(pool, holds(pool.factors), vocabulary, TINY, spec.role, ("test", 0))
    losses = fall(learner, batch, 20)
    assert losses[-1] < 0.92 * losses[0] and all(p.grad is not None for p in learner.parameters())


def fall(learner, batch, steps: int) -> list[float]:
    optimizer = torch.optim.AdamW(learner.parameters(), 3e-3)
    losses = []
    for _ in range(steps):
        loss = learner(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_captions_of_a_batch_are_true_of_their_pictures(pool):
    vocabulary = Vocabulary(grammar("judge").words())
    batch = heads_text.draw_captioned(pool, holds(pool.factors), vocabulary, TINY, "judge", ("test", 1))
    n = 2 * TINY.batch
    assert batch.true.shape == (2 * n, n) and batch.true[:n].diag().all() and batch.true[n:].diag().all()
    assert batch.true[:n].sum() > batch.true[n:].sum()  # short captions are true of more pictures
    assert [len(tokens) for tokens in batch.tokens] == [n, n] and batch.tokens[0].shape[1] < batch.tokens[1].shape[1]
    again = heads_text.draw_captioned(pool, holds(pool.factors), vocabulary, TINY, "judge", ("test", 1))
    assert all(torch.equal(a, b) for a, b in zip(batch.tokens, again.tokens, strict=True))


def test_forgotten_words_are_few_and_put_in_before():
    tokens = torch.full((4000, 6), 5)
    tokens[:, 4:] = PAD
    out = heads_text.forgetful(tokens, np.random.default_rng(0))
    before = (out[:, 0] == UNKNOWN) & (out[:, 4] != PAD)
    assert abs(before.float().mean() - heads_text.INTRUDE) < 0.02
    assert abs((out[~before][:, :4] == UNKNOWN).float().mean() - heads_text.FORGET) < 0.006
    assert (out[~before][:, 4:] == PAD).all() and (out[before][:, 5:] == PAD).all()


@pytest.mark.parametrize(
    ("train", "module", "name"),
    [
        (heads_segmenters.train_heads_segmenters, heads_segmenters, "heads-guide-segmentation"),
        (heads_text.train_heads_text, heads_text, "heads-guide-text"),
    ],
)
def test_training_writes_weights_and_card_and_keeps_them(tmp_path, monkeypatch, train, module, name):
    monkeypatch.setattr(module, "make_card", lambda network, pools, **rest: {"sha256": rest["sha256"], **rest["facts"]})
    (path,) = train(tmp_path, minutes=0.01, only=name, recipe=TINY)
    assert load_card(path.with_suffix(".json"))["pictures_seen"] > 0 and not list(tmp_path.glob("*.checkpoint.pt"))
    before = path.read_bytes()
    assert train(tmp_path, minutes=0.01, only=name, recipe=TINY) == [path] and path.read_bytes() == before
    with pytest.raises(InputError, match="did you mean"):
        train(tmp_path, minutes=1, only=name + "s")


def test_auc_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 8, 200).astype(float), rng.random(200) < 0.3
    assert auc(scores, truth) == pytest.approx(roc_auc_score(truth, scores))
    assert np.isnan(auc(scores, np.ones(200)))


class Perfect:
    """Reads pictures' vectors as given; a text's vector is the mean of the pictures that it is true of."""

    scale = 1.0

    def __init__(self, vectors, rules, factors):
        self.vectors, self.rules, self.factors = vectors, rules, factors

    def encode_text(self, texts):
        claims = {phrase.partition(": ")[2] or phrase: i for i, some in enumerate(self.rules.phrases) for phrase in some}
        rows = []
        for text in texts:
            said = [i for phrase, i in claims.items() if f" {phrase} " in f" {text.replace(',', ' ,')} "]
            rows.append(self.vectors[consistent([said], holds(self.factors))[0]].mean(0))
        return torch.nn.functional.normalize(torch.stack(rows), dim=1)


def test_retrieval_of_perfect_and_of_blind_vectors():
    rows = person_factors(128, seed=3, independent=True)[::2]
    vectors, rules = torch.eye(128), grammar("unseen")
    found = retrieval(Perfect(vectors, rules, rows), vectors, rows, rules)
    assert found["n"] == 128 and found["of"] == 64 and found["true_picture"][0] > 0.95
    assert found["own_picture"][0] <= found["true_picture"][0]
    blind = retrieval(Perfect(vectors, rules, rows), vectors.roll(64, 0), rows, rules)
    assert blind["own_picture"][0] < 0.1


def test_zero_shot_takes_thirds_and_classes():
    rows = person_factors(300, seed=9, independent=True).numpy()
    found = zero_shot(rows[:, : len(FACTORS)], rows)
    assert all(one["auc"][0] == 1.0 for one in found.values())
    assert sum(found["glasses"]["n"]) == 600 and 360 < sum(found["smile"]["n"]) < 440
    assert zero_shot(-rows[:, : len(FACTORS)], rows)["beard"]["auc"] == [0.0, 0.0, 0.0]


def test_unseen_prompts_name_both_ends():
    prompts = unseen_prompts()
    assert set(prompts) == {f.name for f in FACTORS} and prompts["glasses"] == (
        "a person not wearing spectacles", "a person wearing eyeglasses",
    )  # fmt: skip
    assert prompts["background"] == ("a person against a pink wall", "a person against a green wall")


def test_untrained_networks_can_be_built():
    torch.manual_seed(0)
    network = HeadsSegmenter(SEGMENTERS["heads-segmentation"], segmenter(SEGMENTERS["heads-segmentation"]).state_dict())
    assert network.measure(torch.zeros(1, 3, 64, 64))["segmentation"].shape == (1, len(CLASSES), 64, 64)
    assert INDEX["glasses"] < len(FACTORS) and HeadsTextImage.readings == {"text_image"}

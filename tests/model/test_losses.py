import itertools

import pytest
import segmentation_models_pytorch.losses as smp
import torch
import torch.nn.functional as F

from segtrain.errors import UserError
from segtrain.model.losses import CrossEntropy, Dice, DiceCE, Focal, Lovasz, Tversky

IGNORE = 255
LOSSES = {
    "ce": lambda classes: CrossEntropy(IGNORE),
    "ce_weighted": lambda classes: CrossEntropy(IGNORE, torch.arange(1, max(classes, 2) + 1).tolist(), 0.1),
    "dice": lambda classes: Dice(IGNORE),
    "dice_unsmoothed": lambda classes: Dice(IGNORE, smooth=0),
    "dice_ce": lambda classes: DiceCE(IGNORE, dice_weight=0.7, ce_weight=1.3),
    "focal": lambda classes: Focal(IGNORE, gamma=2.0, alpha=torch.arange(1, max(classes, 2) + 1).tolist()),
    "focal_below_1": lambda classes: Focal(IGNORE, gamma=0.5),
    "tversky": lambda classes: Tversky(IGNORE),
    "lovasz": lambda classes: Lovasz(IGNORE),
}
each_loss = pytest.mark.parametrize("name", LOSSES)
each_count = pytest.mark.parametrize("classes", [1, 2, 4])


def batch(classes, dtype=torch.float64, ignored=0.3, mask_dtype=torch.uint8, n=2, side=6):
    """Logits that require a gradient, and a mask with every label and a share of ignored pixels."""
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(n, classes, side, side, generator=generator, dtype=torch.float64).to(dtype)
    mask = torch.randint(0, max(classes, 2), (n, side, side), generator=generator, dtype=mask_dtype)
    mask[torch.rand(mask.shape, generator=generator) < ignored] = IGNORE
    return logits.requires_grad_(), mask


@each_loss
@each_count
def test_gradient_is_the_numeric_one_and_float64_stays(name, classes):
    logits, mask = batch(classes, side=3)
    loss = LOSSES[name](classes)
    assert loss(logits, mask).dtype == torch.float64
    assert torch.autograd.gradcheck(lambda z: loss(z, mask), logits)


@each_loss
@each_count
@pytest.mark.parametrize("garbage", [1e30, float("nan"), float("inf"), float("-inf")])
def test_ignored_pixels_change_nothing(name, classes, garbage):
    loss = LOSSES[name](classes)
    logits, mask = batch(classes)
    value = loss(logits, mask)
    (gradient,) = torch.autograd.grad(value, logits)
    ignored = (mask == IGNORE).unsqueeze(1).expand_as(logits)
    spoilt = logits.detach().masked_fill(ignored, garbage).requires_grad_()
    again = loss(spoilt, mask)
    (gradient_again,) = torch.autograd.grad(again, spoilt)
    assert torch.equal(value, again) and torch.isfinite(value)
    assert torch.equal(gradient, gradient_again)
    assert (gradient[ignored] == 0).all() and (gradient[~ignored] != 0).any()


@each_loss
@each_count
def test_ignored_pixels_count_as_if_they_were_not_there(name, classes):
    logits, mask = batch(classes, n=1)
    kept = mask != IGNORE
    cut = logits[:, :, kept[0]].unsqueeze(-1), mask[kept].view(1, -1, 1)
    torch.testing.assert_close(LOSSES[name](classes)(logits, mask), LOSSES[name](classes)(*cut))


@each_loss
@each_count
def test_a_batch_of_ignored_pixels_has_loss_0_and_zero_gradient(name, classes):
    logits, mask = batch(classes, ignored=1.1)
    logits.data[0] = float("nan")
    value = LOSSES[name](classes)(logits, mask)
    value.backward()
    assert value.item() == 0.0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@each_loss
@each_count
def test_an_ignore_index_among_the_classes_is_ignored(name, classes):
    logits, mask = batch(classes, ignored=0)
    loss = LOSSES[name](classes)
    expected = loss(logits, torch.where(mask == 1, IGNORE, mask))
    loss.ignore_index = 1
    torch.testing.assert_close(loss(logits, mask), expected)


@each_loss
@each_count
def test_value_is_float32_of_reduced_precision_input_and_under_autocast(name, classes):
    logits, mask = batch(classes, torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        value = LOSSES[name](classes)(logits, mask)
    assert value.dtype == torch.float32
    assert torch.equal(value, LOSSES[name](classes)(logits.float(), mask))


@each_loss
def test_layout_and_mask_type_do_not_matter(name):
    logits, mask = batch(4, torch.float32)
    loss = LOSSES[name](4)
    last = logits.to(memory_format=torch.channels_last)
    assert torch.equal(loss(logits, mask), loss(last, mask.long()))


@each_loss
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_sure_predictions_right_or_wrong_stay_finite(name, size):
    _, mask = batch(4, ignored=0)
    right = F.one_hot(mask.long(), 4).permute(0, 3, 1, 2).float() * size
    for logits in (right, -right, right.roll(1, 1)):
        logits = logits.clone().requires_grad_()
        value = LOSSES[name](4)(logits, mask)
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(logits.grad).all()
    assert LOSSES[name](4)(right, mask) < LOSSES[name](4)(-right, mask)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@each_loss
@each_count
def test_cuda_is_deterministic_and_agrees_with_the_cpu(name, classes):
    logits, mask = batch(classes, torch.float32, n=4, side=64)
    loss = LOSSES[name](classes)
    (expected,) = torch.autograd.grad(loss(logits, mask), logits)
    loss, logits, mask = loss.cuda(), logits.detach().cuda().requires_grad_(), mask.cuda()
    torch.use_deterministic_algorithms(True)
    try:
        values = [loss(logits, mask) for _ in range(2)]
        gradients = [torch.autograd.grad(value, logits)[0] for value in values]
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(*values) and torch.equal(*gradients)
    torch.testing.assert_close(gradients[0].cpu(), expected, rtol=1e-3, atol=1e-7)


@each_loss
def test_a_mask_of_another_size_is_refused(name):
    logits, mask = batch(4)
    with pytest.raises(ValueError, match="expected"):
        LOSSES[name](4)(logits, mask[:, None])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, [1.0, 0.0, 2.5, 0.3]])
def test_cross_entropy_is_torchs(weights, smoothing):
    logits, mask = batch(4)
    tensor = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    expected = F.cross_entropy(logits, mask.long(), weight=tensor, ignore_index=IGNORE, label_smoothing=smoothing)
    loss = CrossEntropy(IGNORE, weights, smoothing).double()
    torch.testing.assert_close(loss(logits, mask), expected)


def test_cross_entropy_of_one_logit_is_torchs_binary_one():
    logits, mask = batch(1)
    kept = mask != IGNORE
    expected = F.binary_cross_entropy_with_logits(logits[:, 0][kept], mask[kept].double())
    torch.testing.assert_close(CrossEntropy(IGNORE)(logits, mask), expected)


def test_dice_by_hand():
    # One logit; p = .5, .75, .25 and an ignored pixel; truth 1, 1, 0. 2 Σpt = 2.5, Σp = 1.5, Σt = 2.
    p = torch.tensor([0.5, 0.75, 0.25, 0.9], dtype=torch.float64)
    mask = torch.tensor([1, 1, 0, IGNORE]).view(2, 1, 2)
    value = Dice(IGNORE, smooth=1.0)(p.logit().view(2, 1, 1, 2), mask)
    assert value.item() == pytest.approx(1 - (2.5 + 1) / (3.5 + 1))


def test_dice_pools_the_batch_and_averages_the_classes():
    # Two classes. Image 1 all class 0, image 2 all class 1, p = .8 of class 0 everywhere, four pixels in all.
    p = torch.tensor([0.8, 0.2], dtype=torch.float64).view(1, 2, 1, 1).expand(2, 2, 1, 2)
    mask = torch.tensor([[[0, 0]], [[1, 1]]])
    expected = 1 - (2 * 1.6 / (3.2 + 2) + 2 * 0.4 / (0.8 + 2)) / 2
    assert Dice(IGNORE, smooth=0)(p.log(), mask).item() == pytest.approx(expected)


def test_dice_of_an_absent_class_falls_with_what_is_predicted_of_it():
    mask = torch.zeros(1, 4, 4, dtype=torch.uint8)
    logits = torch.zeros(1, 3, 4, 4, requires_grad=True)
    Dice(IGNORE)(logits, mask).backward()
    assert (logits.grad[:, 1:] > 0).all()


@pytest.mark.parametrize("classes", [1, 4])
def test_dice_tversky_and_focal_are_smps_on_full_labels(classes):
    logits, mask = batch(classes, ignored=0)
    mode = "binary" if classes == 1 else "multiclass"
    target = mask.long() if classes > 1 else mask.long().unsqueeze(1)
    dice = smp.DiceLoss(mode, smooth=0.5)(logits, target)  # smp: (Σpt + s) / …, ours (2 Σpt + s) / …
    tversky = smp.TverskyLoss(mode, alpha=0.3, beta=0.7, smooth=1.0)(logits, target)
    focal = smp.FocalLoss(mode, gamma=2.0)(logits, target)
    if classes > 1:  # smp adds a one-against-all loss of each class; that is another formula
        log_p = logits.log_softmax(1).gather(1, target.unsqueeze(1))
        focal = -((1 - log_p.exp()) ** 2 * log_p).mean()
    torch.testing.assert_close(Dice(IGNORE, smooth=1.0)(logits, mask), dice)
    torch.testing.assert_close(Tversky(IGNORE, alpha=0.3, beta=0.7, smooth=1.0)(logits, mask), tversky)
    torch.testing.assert_close(Focal(IGNORE, gamma=2.0)(logits, mask), focal)


@each_count
def test_losses_that_contain_another(classes):
    logits, mask = batch(classes)
    ce, dice = CrossEntropy(IGNORE)(logits, mask), Dice(IGNORE)(logits, mask)
    torch.testing.assert_close(DiceCE(IGNORE, dice_weight=0.7, ce_weight=1.3)(logits, mask), 0.7 * dice + 1.3 * ce)
    torch.testing.assert_close(Focal(IGNORE, gamma=0)(logits, mask), ce)
    torch.testing.assert_close(Tversky(IGNORE, alpha=0.5, beta=0.5, smooth=0.5)(logits, mask), dice)


def test_focal_alpha_weights_the_label():
    logits, mask = batch(1, ignored=0)
    expected = smp.FocalLoss("binary", alpha=0.25, gamma=2.0)(logits, mask.long().unsqueeze(1))
    torch.testing.assert_close(Focal(IGNORE, 2.0, [0.75, 0.25])(logits, mask), expected)


def test_tversky_prices_errors_apart():
    certain = torch.tensor([[-50.0, 50.0, 50.0, -50.0]]).view(1, 1, 2, 2)
    found_too_much, missed = torch.tensor([0, 1, 0, 0]), torch.tensor([1, 1, 1, 0])
    loss = Tversky(IGNORE, alpha=0.2, beta=0.8, smooth=0)
    assert loss(certain, found_too_much.view(1, 2, 2)).item() == pytest.approx(0.2 / 1.2)
    assert loss(certain, missed.view(1, 2, 2)).item() == pytest.approx(0.8 / 2.8)


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_lovasz_at_hard_predictions_is_the_jaccard_loss(classes):
    """All masks and predictions of three pixels: at the corners the extension is the set function itself."""
    labels = range(max(classes, 2))
    for truth, pred in itertools.product(itertools.product(labels, repeat=3), repeat=2):
        mask, guess = torch.tensor(truth), torch.tensor(pred)
        counted = [1] if classes == 1 else sorted(set(truth))
        ious = []
        for c in counted:
            union = ((mask == c) | (guess == c)).sum().item()
            ious.append(((mask == c) & (guess == c)).sum().item() / union if union else 1.0)
        hard = (guess * 2 - 1).view(1, 1, 1, 3) if classes == 1 else F.one_hot(guess, classes).T.view(1, -1, 1, 3)
        value = Lovasz(IGNORE)(hard * 100.0, mask.view(1, 1, 3)).item()
        assert value == pytest.approx(1 - sum(ious) / len(ious), abs=1e-6)


@each_count
def test_lovasz_is_the_extension_by_its_definition(classes):
    logits, mask = batch(classes, side=4)
    kept = mask != IGNORE
    probs = logits.sigmoid() if classes == 1 else logits.softmax(1)
    total = []
    for c in range(classes):
        truth = (mask[kept] == (1 if classes == 1 else c)).tolist()
        errors = [abs(t - p) for t, p in zip(truth, probs[:, c][kept].tolist(), strict=True)]
        total.append(extension(errors, truth))
    expected = sum(total) / len(total)
    assert Lovasz(IGNORE)(logits, mask).item() == pytest.approx(expected)


def extension(errors, truth):
    """Σ error x (what its pixel adds to 1 - IoU), pixels turning wrong in order of falling error."""
    wrong, before, value = set(), 0.0, 0.0
    for i in sorted(range(len(errors)), key=lambda i: -errors[i]):
        wrong.add(i)
        pred = {j for j, t in enumerate(truth) if bool(t) != (j in wrong)}
        real = {j for j, t in enumerate(truth) if t}
        loss = 1 - len(pred & real) / len(pred | real) if pred | real else 0.0
        value, before = value + errors[i] * (loss - before), loss
    return value


def test_lovasz_is_smps_where_classes_are_absent():
    logits, mask = batch(4, torch.float32)  # smp's fails in float64
    mask[mask == 2] = 0
    expected = smp.LovaszLoss("multiclass", ignore_index=IGNORE)(logits, mask.long())
    torch.testing.assert_close(Lovasz(IGNORE)(logits, mask), expected)


def test_lovasz_punishes_a_foreground_that_is_not_there():
    p = torch.tensor([0.1, 0.8, 0.3, 0.9], dtype=torch.float64)
    mask = torch.tensor([0, 0, 0, IGNORE]).view(1, 2, 2)
    assert Lovasz(IGNORE)(p.logit().view(1, 1, 2, 2), mask).item() == pytest.approx(0.8)


@pytest.mark.parametrize(
    "make",
    [
        lambda: CrossEntropy(IGNORE, label_smoothing=1.0),
        lambda: CrossEntropy(IGNORE, class_weights=[1, -1]),
        lambda: Dice(IGNORE, smooth=-1),
        lambda: DiceCE(IGNORE, dice_weight=-1),
        lambda: Focal(IGNORE, gamma=-1),
        lambda: Tversky(IGNORE, beta=float("nan")),
        lambda: CrossEntropy(IGNORE, class_weights=[1, 1])(*batch(3)),
        lambda: Focal(IGNORE, alpha=[1])(*batch(1)),
    ],
)
def test_a_value_out_of_range_is_the_users_mistake(make):
    with pytest.raises(UserError, match=r"loss\..*expected.*got"):
        make()


def test_weights_stay_out_of_checkpoints():
    assert not CrossEntropy(IGNORE, [1, 2]).state_dict()

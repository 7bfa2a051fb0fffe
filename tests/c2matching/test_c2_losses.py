"""Losses and the discriminator."""

import pytest
import torch
import torch.nn.functional as F
from filled import error, fill, tensor, vgg19

from c2matching.training.losses import Points, margin_loss, matching_loss, usable_points
from c2matching.training.stages import correspondence_loss
from refsr_bench.learning.training import losses
from refsr_bench.learning.training.discriminator import ImageDiscriminator

SIZE = (96, 128)  # of the images behind the golden descriptors


def pair_of(z, prefix=""):
    """Descriptors with gradients; a second sample that the shipped cut leaves out is one that is not used."""
    maps = [tensor(z[f"{prefix}dense_features{n}_x32"]).float() / 32 for n in (1, 2)]
    return tuple(torch.cat([m, torch.zeros_like(m)])[:2].requires_grad_() for m in maps)


@pytest.mark.parametrize("stage", ["teacher", "student"])
def test_correspondence_loss(golden, stage):
    z = golden("h_contrastive_loss")
    cases = [case for case in ("skip", "a") if f"{case}_teacher_loss" in z]  # the shipped cut has the first
    assert cases
    for case in cases:
        check_correspondence_loss(z, case, stage)


def check_correspondence_loss(z, case, stage):
    grids = tensor(z[f"{case}_transformed_coordinate_sub4"][..., :2])
    counts = [int(usable_points(grid[None], SIZE, at_least=1).valid.sum()) for grid in grids]
    assert counts == z[f"{case}_n_valid"].tolist()
    points = usable_points(grids, SIZE)
    used = points.valid.any(1)
    assert used.tolist() == [count >= 128 for count in counts]
    features, teacher = pair_of(z), pair_of(z, "teacher_")
    terms = correspondence_loss(features, points, teacher if stage == "student" else None)
    means = {name: term.sum() / used.sum() for name, term in terms.items()}
    loss = sum(means.values())
    assert loss.item() == pytest.approx(z[f"{case}_{stage}_loss"].item(), rel=1e-5)
    for n, gradient in enumerate(torch.autograd.grad(loss, features), start=1):
        if f"{case}_{stage}_grad{n}_ch16" in z:
            assert error(gradient[:, :16], z[f"{case}_{stage}_grad{n}_ch16"]) < 1e-7
        else:
            assert error(gradient[:1, :4], z[f"{case}_{stage}_grad{n}_ch4"]) < 1e-7
    if stage == "student":
        assert means["distillation"].item() / 15 == pytest.approx(z[f"{case}_student_distill_loss"].item(), rel=1e-4)


def by_hand(f1, f2, cells, targets):
    """Eq. (1) to (3) with loops over points."""
    f1, f2 = F.normalize(f1, dim=0), F.normalize(f2, dim=0)
    total = 0.0
    for p, q in zip(cells.tolist(), targets.tolist(), strict=True):
        a, b = f1[:, p[0], p[1]], f2[:, q[0], q[1]]
        negatives = [
            (a - f2[:, t[0], t[1]]).square().sum()
            for t in targets.tolist()
            if max(abs(t[0] - q[0]), abs(t[1] - q[1])) > 4
        ]
        negatives += [
            (b - f1[:, y, x]).square().sum()
            for y in range(f1.shape[1])
            for x in range(f1.shape[2])
            if max(abs(y - p[0]), abs(x - p[1])) > 4
        ]
        total += F.relu(1 + (a - b).square().sum() - torch.stack(negatives).min())
    return total / len(cells)


def test_margin_loss_equals_its_definition():
    """A batch of two pairs with different numbers of points: padding changes nothing."""
    f1, f2 = (torch.randn(2, 4, 9, 11, dtype=torch.float64) for _ in range(2))
    cells = torch.tensor([(0, 0), (8, 10), (3, 4), (4, 4), (2, 9)])
    targets = torch.tensor([(1, 0), (7, 9), (3, 4), (5, 4), (2, 10)])
    valid = torch.ones(2, 5, dtype=torch.bool)
    valid[1, 3:] = False
    points = Points(cells.expand(2, -1, -1), targets.expand(2, -1, -1).clone(), valid)
    points.targets[1, 3:] = 0
    wanted = [by_hand(f1[0], f2[0], cells, targets), by_hand(f1[1], f2[1], cells[:3], targets[:3])]
    assert margin_loss(f1, f2, points).tolist() == pytest.approx([w.item() for w in wanted])


def test_padding_has_no_part_in_any_loss():
    """A pair alone and the same pair beside one with more points: equal losses and gradients."""
    y, x = torch.meshgrid(torch.arange(0.0, 80, 4), torch.arange(0.0, 80, 4), indexing="ij")
    grid = torch.stack((x, y), dim=-1).double()
    grids = torch.stack([torch.where(x[..., None] > 36, -100.0, grid), grid])
    features = [torch.randn(2, 16, 20, 20, requires_grad=True) for _ in range(4)]

    def terms(n):
        s1, s2, t1, t2 = (f[:n] for f in features)
        points = usable_points(grids[:n], (80, 80), at_least=1)
        losses = correspondence_loss((s1, s2), points, (t1, t2)) | {"warm up": matching_loss(s1, s2, points)}
        total = sum(loss[0] for loss in losses.values())
        return [loss[0].item() for loss in losses.values()], torch.autograd.grad(total, features[:2])

    (alone, gradients), (beside, others) = terms(1), terms(2)
    assert beside == pytest.approx(alone, rel=1e-6)
    for gradient, other in zip(gradients, others, strict=True):
        assert gradient[0].any() and error(gradient[0], other[0].detach().numpy()) < 1e-7


def test_points_near_the_border_are_not_used():
    grid = torch.tensor([[(10.0, 50.0), (10.001, 50.0), (89.999, 50.0), (90.0, 50.0), (50.0, 10.0), (30.0, 38.0)]])
    points = usable_points(grid.double()[None], (60, 100), at_least=1)
    assert points.cells.tolist() == [[[0, 5]]]
    assert points.targets.tolist() == [[[10, 8]]]  # 9.5 and 7.5 round to even
    more = usable_points(grid.double()[None], (61, 100), at_least=1)
    assert more.cells[0].tolist() == [[0, 1], [0, 2], [0, 5]]


def test_pairs_with_too_few_points_contribute_nothing():
    features = (torch.randn(1, 4, 20, 20), torch.randn(1, 4, 20, 20))
    points = usable_points(torch.zeros(1, 20, 20, 2, dtype=torch.float64), (80, 80))
    assert points.valid.tolist() == [[False]]
    losses = correspondence_loss(features, points, features) | {"warm up": matching_loss(*features, points)}
    assert [loss.tolist() for loss in losses.values()] == [[0.0]] * 3


def test_cross_entropy_falls_when_descriptors_agree():
    y, x = torch.meshgrid(torch.arange(0.0, 80, 4), torch.arange(0.0, 80, 4), indexing="ij")
    points = usable_points(torch.stack((x, y), dim=-1).double()[None], (80, 80))
    features = torch.randn(1, 64, 20, 20)
    agreeing = matching_loss(features, features, points)
    assert agreeing < 1 < matching_loss(features, torch.randn(1, 64, 20, 20), points)


def test_image_losses(golden):
    z = golden("i_image_losses")
    sr, hr = tensor(z["sr"]).requires_grad_(), tensor(z["gt"])
    features = vgg19("relu5_1").requires_grad_(False)
    loss = 1e-4 * losses.perceptual_loss(features(sr)["relu5_1"], features(hr)["relu5_1"])
    assert loss.item() == pytest.approx(z["perceptual_relu5_1_fro"].item(), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, sr)
    if "perceptual_grad_sr" in z:
        assert error(gradient, z["perceptual_grad_sr"]) < 1e-8
    else:
        assert error(gradient[..., ::2, ::2], z["perceptual_grad_sr_sub"]) < 1e-8
    assert losses.reconstruction_loss(sr, hr).item() == pytest.approx(z["l1"].item(), rel=1e-5)
    scores = tensor(z["disc_out"])
    assert 1e-6 * losses.generator_loss(scores).item() == pytest.approx(z["wgan_g"].item(), rel=1e-5)
    zero = torch.zeros(1)
    assert losses.discriminator_loss(scores, zero).item() == pytest.approx(z["wgan_d_real"].item(), rel=1e-5)
    assert losses.discriminator_loss(zero, scores).item() == pytest.approx(z["wgan_d_fake"].item(), rel=1e-5)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_gradient_penalty(golden, mode):
    z = golden("i_image_losses")
    net = fill(ImageDiscriminator()).train(mode == "train")
    sr, hr = tensor(z["sr"]).requires_grad_(), tensor(z["gt"])
    if mode == "train":
        assert error(net(hr), z["d_train_out_gt"]) < 1e-5
        assert error(net(sr), z["d_train_out_sr"]) < 1e-5
    penalty = 10 * losses.gradient_penalty(net, hr, sr, tensor(z["alpha"]))
    penalty.backward()
    assert sr.grad is None
    assert penalty.item() == pytest.approx(z[f"gp_{mode}"].item(), rel=1e-4)
    norms = {name: p.grad.norm().item() for name, p in net.named_parameters()}
    assert list(norms) == list(z["d_param_names"])
    for (name, norm), wanted in zip(norms.items(), z[f"gp_{mode}_param_grad_norms"], strict=True):
        if wanted > 1e-3:  # below: convolution biases before a BatchNorm, zero in exact arithmetic
            assert norm == pytest.approx(wanted, rel=1e-3), name


@torch.no_grad()
def test_discriminator(golden):
    z = golden("g_discriminator")
    net = fill(ImageDiscriminator())
    image = tensor(z["image"])
    assert error(net(image), z["output_eval"]) < 1e-5
    net.train()
    assert error(net(image), z["output_train"]) < 1e-5
    assert error(net.conv_block1[1].running_mean, z["running_mean_block1_bn1_after"]) < 1e-5
    assert error(net.conv_block5[4].running_var, z["running_var_block5_bn2_after"]) < 1e-5


def test_new_discriminator():
    torch.manual_seed(0)
    net = ImageDiscriminator()
    assert sum(p.numel() for p in net.parameters()) == 5_242_529
    assert net.conv_block5[3].weight.std().item() == pytest.approx(0.02, rel=0.01)
    scale = net.conv_block5[4].weight
    assert scale.mean().item() == pytest.approx(1, abs=0.005) and scale.std().item() == pytest.approx(0.02, rel=0.1)
    assert net(torch.rand(3, 3, 21, 40)).shape == (3, 1, 1, 1)

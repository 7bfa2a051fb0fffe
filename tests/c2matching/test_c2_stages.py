"""Optimisation steps of the restoration network."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from filled import error, fill, full_model, image, tensor, vgg19

from c2matching.nets.correspondence_network import ContrastiveExtractor
from c2matching.nets.model import C2Matching
from c2matching.nets.restoration import RestorationConfig, RestorationNet
from c2matching.training.config import C2Training, MatchingTraining
from c2matching.training.stages import MatchingStage, RestorationStage, generator_groups
from refsr_bench.learning import deform
from refsr_bench.learning.training.config import RestorationTraining, factor_at, load
from refsr_bench.learning.training.discriminator import ImageDiscriminator
from refsr_bench.learning.training.parallel import Parallel
from refsr_bench.learning.training.stage import Critics, Setting

TINY = RestorationConfig(channels=8, blocks=(1, 0, 0, 0), groups=2)


def changes(parameters, before):
    return [(p - q).norm().item() for p, q in zip(parameters, before, strict=True)]


def snapshot(module):
    return [p.detach().clone() for p in module.parameters()]


def random_batch(n=2):
    shapes = {"hr": (n, 3, 32, 32), "lr": (n, 3, 8, 8), "lr_up": (n, 3, 32, 32), "ref": (n, 3, 32, 32)}
    return {name: torch.rand(shape) for name, shape in shapes.items()}


@pytest.fixture
def same_on_every_processor():
    """oneDNN rounds otherwise on every generation of processors, and Adam makes whole steps of it: the penalty of the
    third step then differs by up to 7 %."""
    with torch.backends.mkldnn.flags(enabled=False):
        yield


@pytest.mark.usefixtures("same_on_every_processor")
@pytest.mark.parametrize("backend", ["torchvision", "grid"])
def test_three_steps_of_the_authors_training(whole, backend, monkeypatch):
    """Pixel loss alone, then twice the GAN loss. Tolerances are the golden vectors' own where they state one; updates
    after the first are ours: all within 1 %, since Adam turns the rounding of a processor into whole steps of a few
    values, and all but 2 % of the tensors within a third of that."""
    monkeypatch.setattr(deform, "BACKEND", backend)
    z = whole("n_train_steps")
    model, critic = full_model(), fill(ImageDiscriminator())
    stage = RestorationStage(model, critics=Critics(critic, vgg19("relu5_1")))
    net = model.restoration
    batch = {name: image(z[f"{key}_u8"]) for name, key in (("hr", "gt"), ("lr", "lq"), ("lr_up", "up"), ("ref", "ref"))}
    # losses absolute, penalty relative, SR absolute, updates of the generator and of the discriminator relative
    tolerances = {
        1: (1e-6, 0, 1e-5, 5e-3, 0),
        10001: (1e-4, 2e-2, 3e-4, 1e-2, 5e-3),
        10002: (1e-3, 3e-2, 3e-3, 1e-2, 5e-2),
    }
    for iteration, limits in tolerances.items():
        loss, penalty, sr_error, generator, discriminator = limits
        prefix = f"step{iteration}_"
        wanted = {key.removeprefix(prefix): value for key, value in z.items() if key.startswith(prefix)}
        before, critic_before = snapshot(net), snapshot(critic)
        sr = stage.restore(batch).detach()
        terms = stage.step([batch], iteration, tensor(wanted["alpha"]))
        assert error(sr, wanted["sr"]) < sr_error
        updates, expected = np.array(changes(net.parameters(), before)), wanted["g_update_norms"]
        apart = np.abs(updates - expected) / expected
        assert apart.max() < generator and np.quantile(apart, 0.98) < generator / 3
        critic_updates = changes(critic.parameters(), critic_before)
        if iteration == 1:
            assert terms == {"reconstruction": pytest.approx(float(wanted["l_pix"]), abs=loss)}
            assert not any(critic_updates) and not wanted["d_update_norms"].any()
            continue
        assert terms["reconstruction"] == pytest.approx(float(wanted["l_g_pix"]), abs=loss)
        assert terms["perceptual"] == pytest.approx(float(wanted["l_g_percep"]), abs=loss / 100)
        assert terms["adversarial"] == pytest.approx(float(wanted["l_g_gan"]), abs=loss / 1e5)
        both = float(wanted["l_d_real"] + wanted["l_d_fake"])
        assert terms["discriminator"] == pytest.approx(both, abs=2 * loss)
        assert terms["penalty"] == pytest.approx(float(wanted["l_grad_penalty"]), rel=penalty)
        for name, norm, expected in zip(z["d_param_names"], critic_updates, wanted["d_update_norms"], strict=True):
            is_bias_before_batchnorm = name.startswith("conv_block") and name.endswith((".0.bias", ".3.bias"))
            if not is_bias_before_batchnorm:  # their true gradient is zero; Adam amplifies what rounding leaves
                assert norm == pytest.approx(expected, rel=discriminator), name


def test_parameter_groups(shared):
    import numpy as np

    z = np.load(shared / "golden" / "n_train_steps.npz")
    net = RestorationNet()
    group_of = {id(p): n for n, group in enumerate(generator_groups(net)) for p in group["params"]}
    assert [name for name, _ in net.named_parameters()] == z["g_param_names"].tolist()
    assert [group_of[id(p)] for p in net.parameters()] == z["g_param_group"].tolist()


def test_sizes_and_rates_of_the_groups():
    groups = generator_groups(RestorationNet())
    sizes = [(group["lr"], len(group["params"]), sum(p.numel() for p in group["params"])) for group in groups]
    assert sizes == [
        (1e-4, 278, 6_186_755),
        (1e-4, 6, 235_352),
        (1e-6, 6, 1_825_496),
        (1e-5, 6, 617_944),
    ]
    light = generator_groups(RestorationNet(dataclasses.replace(TINY, small_reference=False)))
    assert [group["lr"] for group in light] == [1e-4, 1e-4, 1e-5]


def test_rates_fall_after_the_milestones():
    decays = RestorationTraining().discriminator_decays
    factors = [factor_at(n, decays) for n in (1, 72_545, 72_546, 211_040, 211_041, 255_000)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert [factor_at(n, (), ramp=10) for n in (1, 5, 10, 11)] == pytest.approx([0.1, 0.5, 1, 1])


def test_as_executed_the_discriminator_alone_slows_down():
    config = load(C2Training, ["as-executed"]).restoration
    stage = RestorationStage(C2Matching(TINY), Setting(config), Critics(ImageDiscriminator(), vgg19("relu5_1")))
    stage.step([random_batch()], 72_546)
    assert stage.optimisers["discriminator"].param_groups[0]["lr"] == pytest.approx(1e-5)
    rates = [group["lr"] for group in stage.optimisers["restoration"].param_groups]
    assert rates == [1e-4, 1e-4, 1e-6, 1e-5]


def test_by_the_option_files_both_slow_down():
    stage = RestorationStage(C2Matching(TINY))
    stage.step([random_batch()], 211_041)
    rates = [group["lr"] for group in stage.optimisers["restoration"].param_groups]
    assert rates == pytest.approx([1e-6, 1e-6, 1e-8, 1e-7])


def test_reconstruction_alone_learns_and_leaves_the_rest_alone():
    torch.manual_seed(0)
    model = C2Matching(TINY)
    frozen = {k: v.clone() for k, v in model.state_dict().items() if not k.startswith("restoration")}
    stage = RestorationStage(model, Setting(RestorationTraining(rate=1e-3)))
    batch = random_batch()
    errors = [stage.step([batch], 50_000 + n) for n in range(12)]
    assert [set(terms) for terms in errors] == [{"reconstruction"}] * 12
    assert errors[-1]["reconstruction"] < errors[0]["reconstruction"]
    assert all(torch.equal(model.state_dict()[k], v) for k, v in frozen.items())


def test_the_generator_follows_the_updated_discriminator():
    """The adversarial term is the score after the discriminator's own step."""
    torch.manual_seed(0)
    critic = ImageDiscriminator()
    config = RestorationTraining(adversarial_weight=1.0, discriminator_rate=1e-2)
    stage = RestorationStage(C2Matching(TINY), Setting(config), Critics(critic, vgg19("relu5_1")))
    batch = random_batch()
    sr = stage.restore(batch).detach()
    terms = stage.step([batch], 10_001, torch.full((2, 1, 1, 1), 0.5))
    with torch.no_grad():
        assert terms["adversarial"] == pytest.approx(-critic(sr).mean().item(), abs=1e-6)


def test_the_first_ten_thousand_iterations_use_reconstruction_alone():
    stage = RestorationStage(C2Matching(TINY), critics=Critics(ImageDiscriminator(), vgg19("relu5_1")))
    terms = [set(stage.step([random_batch()], n)) for n in (10_000, 10_001)]
    everything = {"reconstruction", "perceptual", "adversarial", "discriminator", "penalty"}
    assert terms == [{"reconstruction"}, everything]


def halves(batch):
    return [{name: tensor[n : n + 2] for name, tensor in batch.items()} for n in (0, 2)]


def matching_batch(n):
    y, x = torch.meshgrid(torch.arange(0.0, 80, 4), torch.arange(0.0, 80, 4), indexing="ij")
    grid = torch.stack((x, y), dim=-1).double()
    grids = torch.stack([grid + k for k in range(n)])
    grids[0] = -100  # the first pair cannot be used: losses are means over the pairs that can
    return {name: torch.rand(n, 3, 80, 80) for name in ("hr", "lr_up", "transformed")} | {"coordinates": grids}


def matching_stage(**changes):
    torch.manual_seed(0)
    teacher, student = ContrastiveExtractor(), ContrastiveExtractor()
    return MatchingStage(student, teacher, MatchingTraining(**changes))


def restoration_stage(**changes):
    torch.manual_seed(0)
    return RestorationStage(C2Matching(TINY), Setting(RestorationTraining(**changes)))


def gradients(stage, name):
    """A tenth of each parameter's gradient, after the first step."""
    moments = stage.optimisers[name].state
    return [moments[p]["exp_avg"] for p in stage.networks[name].parameters()]


@pytest.mark.parametrize(
    ("stage_of", "batch_of"), [(matching_stage, matching_batch), (restoration_stage, random_batch)]
)
def test_micro_batches_and_processes_change_nothing(stage_of, batch_of):
    """Two micro-batches, and two processes that add their gradients up, have the gradients of the whole batch.

    Gradients are compared as Adam remembers them, not the steps: where one is rounding alone its sign makes the step.
    """
    torch.manual_seed(1)
    batch = batch_of(4)
    whole, cut, first = (stage_of() for _ in range(3))
    wanted, terms = whole.step([batch], 1), cut.step(halves(batch), 1)
    assert terms == pytest.approx(wanted, rel=1e-5)

    shares = halves(batch)
    used = torch.tensor([3.0, 4.0])  # pairs that both processes can use, and all
    second, sent = stage_of(), []

    def told_the_counts(tensor):
        sent.append(tensor.clone())
        return used if tensor.numel() == 2 else tensor

    second.parallel = Parallel(2, 1, told_the_counts)
    second.step([shares[1]], 1)
    contributions = iter(sent)
    first.parallel = Parallel(2, 0, lambda tensor: tensor + next(contributions))
    assert first.step([shares[0]], 1) == pytest.approx(wanted, rel=1e-5)
    for name in whole.networks:
        expected = gradients(whole, name)
        for other in (cut, first):
            for p, q in zip(expected, gradients(other, name), strict=True):
                assert (p - q).norm() <= 1e-4 * p.norm()


def test_a_batch_without_usable_pairs_updates_nothing():
    stage = matching_stage()
    before = snapshot(stage.net)
    batch = matching_batch(2)
    batch["coordinates"][:] = 0
    assert stage.step([batch], 1) == {"left_out": 2}
    assert not any(changes(stage.net.parameters(), before))


def test_the_warm_up_is_cross_entropy_alone():
    stage = matching_stage(warm_up=1)
    assert set(stage.step([matching_batch(2)], 1)) == {"warm_up", "left_out"}
    assert set(stage.step([matching_batch(2)], 2)) == {"margin", "distillation", "left_out"}


def test_the_teacher_stays_as_it_was():
    stage = matching_stage()
    before = snapshot(stage.teacher)
    stage.step([matching_batch(2)], 1)
    assert not any(changes(stage.teacher.parameters(), before))


def test_the_average_follows_the_weights():
    stage = restoration_stage(average=0.9, rate=1e-2)
    start = snapshot(stage.average)
    stage.step([random_batch()], 1_000)
    new = snapshot(stage.model.restoration)
    for kept, old, now in zip(stage.average.parameters(), start, new, strict=True):
        assert torch.allclose(kept, 0.9 * old + 0.1 * now, atol=1e-6)


def test_validation_measures_what_it_says():
    """Identical images match where they are: AEE is zero. PSNR of bicubic is that of the LR image enlarged."""
    stage = matching_stage()
    stage.net.feature_extraction_image2.load_state_dict(stage.net.feature_extraction_image1.state_dict())
    batch = matching_batch(2)
    y, x = torch.meshgrid(torch.arange(0.0, 80, 4), torch.arange(0.0, 80, 4), indexing="ij")
    batch["coordinates"] = torch.stack((x, y), dim=-1).double().expand(2, -1, -1, -1)
    batch["transformed"] = batch["lr_up"]
    scores, pictures = stage.validate([batch])
    assert scores == {"aee": 0, "within_a_cell": 1} and pictures["end-point error"].shape == (3, 80, 80)
    batch["coordinates"] = batch["coordinates"] + torch.tensor([3.0, 4.0])
    assert stage.validate([batch])[0]["aee"] == pytest.approx(5)

    restoring = restoration_stage()
    hr = torch.zeros(1, 3, 32, 32)
    batch = {"hr": hr, "ref": hr, "lr": hr[..., ::4, ::4], "lr_up": hr + 10 / 255}
    scores, _ = restoring.validate([batch])
    assert scores["bicubic"] == pytest.approx(20 * math.log10(255 / (10 * 219 / 255)), abs=1e-3)

"""Optimisation steps of the restoration network."""

import dataclasses

import pytest
import torch
from filled import error, fill, full_model, image, tensor, vgg19

from c2matching.config import RestorationTraining, decayed
from c2matching.discriminator import ImageDiscriminator
from c2matching.model import C2Matching
from c2matching.pairs import RestorationPair
from c2matching.restoration import RestorationConfig, RestorationNet
from c2matching.stages import RestorationStage, generator_groups

TINY = RestorationConfig(channels=8, blocks=(1, 0, 0, 0), groups=2)


def changes(parameters, before):
    return [(p - q).norm().item() for p, q in zip(parameters, before, strict=True)]


def snapshot(module):
    return [p.detach().clone() for p in module.parameters()]


def random_batch(n=2):
    shapes = {"hr": (n, 3, 32, 32), "lr": (n, 3, 8, 8), "lr_up": (n, 3, 32, 32), "ref": (n, 3, 32, 32)}
    return RestorationPair(**{name: torch.rand(shape) for name, shape in shapes.items()})


def test_three_steps_of_the_authors_training(whole):
    """Pixel loss alone, then twice the GAN loss."""
    z = whole("n_train_steps")
    model, critic = full_model(), fill(ImageDiscriminator())
    stage = RestorationStage(model, critic, vgg19("relu5_1"))
    net = model.restoration
    batch = RestorationPair(*(image(z[f"{key}_u8"]) for key in ("gt", "lq", "up", "ref")))
    # losses absolute, penalty relative, SR absolute, updates of the generator and of the discriminator relative
    tolerances = {
        1: (1e-6, 0, 1e-5, 5e-3, 0),
        10001: (1e-4, 2e-2, 3e-4, 5e-3, 5e-3),
        10002: (1e-3, 3e-2, 3e-3, 1e-2, 5e-2),
    }
    for iteration, (loss, penalty, sr_error, generator, discriminator) in tolerances.items():
        prefix = f"step{iteration}_"
        wanted = {key.removeprefix(prefix): value for key, value in z.items() if key.startswith(prefix)}
        before, critic_before = snapshot(net), snapshot(critic)
        sr, terms = stage.step(batch, iteration, tensor(wanted["alpha"]))
        assert error(sr, wanted["sr"]) < sr_error
        updates = changes(net.parameters(), before)
        assert updates == pytest.approx(wanted["g_update_norms"].tolist(), rel=generator)
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
    rates = [decayed(1e-4, decays, n) for n in (1, 72_545, 72_546, 211_040, 211_041, 255_000)]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6])


def test_the_discriminator_alone_slows_down():
    critic = ImageDiscriminator()
    stage = RestorationStage(C2Matching(TINY), critic, vgg19("relu5_1"))
    stage.step(random_batch(), 72_546)
    assert stage.discriminator_optimiser.param_groups[0]["lr"] == pytest.approx(1e-5)
    assert [g["lr"] for g in stage.generator_optimiser.param_groups] == [1e-4, 1e-4, 1e-6, 1e-5]


def test_reconstruction_alone_learns_and_leaves_the_rest_alone():
    torch.manual_seed(0)
    model = C2Matching(TINY)
    frozen = {k: v.clone() for k, v in model.state_dict().items() if not k.startswith("restoration")}
    stage = RestorationStage(model, config=RestorationTraining(rate=1e-3))
    batch = random_batch()
    errors = [stage.step(batch, 50_000 + n)[1] for n in range(12)]
    assert [set(terms) for terms in errors] == [{"reconstruction"}] * 12
    assert errors[-1]["reconstruction"] < errors[0]["reconstruction"]
    assert all(torch.equal(model.state_dict()[k], v) for k, v in frozen.items())


def test_the_generator_follows_the_updated_discriminator():
    """The adversarial term is the score after the discriminator's own step."""
    torch.manual_seed(0)
    critic = ImageDiscriminator()
    config = RestorationTraining(adversarial_weight=1.0, discriminator_rate=1e-2)
    stage = RestorationStage(C2Matching(TINY), critic, vgg19("relu5_1"), config)
    sr, terms = stage.step(random_batch(), 10_001, torch.full((2, 1, 1, 1), 0.5))
    with torch.no_grad():
        assert terms["adversarial"] == pytest.approx(-critic(sr).mean().item(), abs=1e-6)


def test_the_first_ten_thousand_iterations_use_reconstruction_alone():
    stage = RestorationStage(C2Matching(TINY), ImageDiscriminator(), vgg19("relu5_1"))
    terms = [set(stage.step(random_batch(), n)[1]) for n in (10_000, 10_001)]
    everything = {"reconstruction", "perceptual", "adversarial", "discriminator", "penalty"}
    assert terms == [{"reconstruction"}, everything]


def test_half_a_gan_is_refused():
    with pytest.raises(ValueError, match="together"):
        RestorationStage(C2Matching(TINY), ImageDiscriminator())

import pytest
import torch

from shopsight.config import EncoderConfig, FeaturesConfig
from shopsight.errors import UsageError
from shopsight.models.image_encoder import ImageEncoder
from shopsight.models.region_features import RegionFeatures


def sample(rows: int = 200, width: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    blend = torch.rand(rows, width, generator=generator) @ torch.rand(
        width, width, generator=generator
    )
    return blend * torch.tensor([5.0, 1.0, 0.2, 3.0, 1.0, 0.5])


def fitted(**settings: object) -> tuple[RegionFeatures, torch.Tensor]:
    features = RegionFeatures(6, FeaturesConfig(**settings)).double()  # type: ignore[arg-type]
    features.fit(sample())
    return features.eval(), features(sample())


def test_by_default_features_pass_unchanged() -> None:
    features, outputs = fitted()
    torch.testing.assert_close(outputs, sample().double())
    assert features.out == 6
    assert not features.needs_fit


@pytest.mark.parametrize("transform", ["none", "sqrt"])
def test_standardised_features_have_mean_0_and_std_1(transform: str) -> None:
    _, outputs = fitted(standardise=True, transform=transform)
    torch.testing.assert_close(outputs.mean(0), torch.zeros(6).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(
        outputs.std(0, correction=0), torch.ones(6).double(), atol=0.02, rtol=0
    )


@pytest.mark.parametrize("standardise", [False, True])
def test_components_are_those_of_a_singular_value_decomposition(standardise: bool) -> None:
    _, outputs = fitted(standardise=standardise, components=3)
    _, before = fitted(standardise=standardise)
    left, values, _ = torch.linalg.svd(before - before.mean(0), full_matrices=False)
    expected = (left * values)[:, :3]
    expected = expected / expected.var(0, correction=0).mean().sqrt()
    torch.testing.assert_close(outputs.abs(), expected.abs(), atol=1e-5, rtol=1e-4)
    assert outputs.var(0, correction=0).mean().item() == pytest.approx(1.0)


def test_all_components_keep_all_distances() -> None:
    _, outputs = fitted(components=6)
    _, before = fitted()
    factor = torch.cdist(outputs, outputs).sum() / torch.cdist(before, before).sum()
    torch.testing.assert_close(
        torch.cdist(outputs, outputs), factor * torch.cdist(before, before), atol=1e-6, rtol=1e-5
    )


def test_components_are_saved_with_the_model() -> None:
    features, outputs = fitted(components=2, transform="sqrt")
    again = RegionFeatures(6, features.config).double().eval()
    again.load_state_dict(features.state_dict())
    torch.testing.assert_close(again(sample()), outputs)


def test_constant_features_stay_finite() -> None:
    features = RegionFeatures(4, FeaturesConfig(standardise=True, components=2))
    features.fit(torch.ones(5, 4))
    assert bool(features(torch.ones(3, 4)).isfinite().all())


def test_the_encoder_is_as_wide_as_the_components() -> None:
    config = EncoderConfig(features=FeaturesConfig(components=8), attention_heads=4)
    assert ImageEncoder(10, 16, config).trunk.width == 8


def test_more_components_than_features_are_an_error() -> None:
    with pytest.raises(UsageError, match="components = 7 exceeds the data's feature width 6"):
        RegionFeatures(6, FeaturesConfig(components=7))
    with pytest.raises(UsageError, match="components must be"):
        FeaturesConfig(components=-1)


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        ("none", [9.0, 16.0]),
        ("sqrt", [3.0, 4.0]),
        ("log", [2.302585092994046, 2.833213344056216]),
        ("l2", [9 / 337**0.5, 16 / 337**0.5]),
    ],
)
def test_transforms(transform: str, expected: list[float]) -> None:
    features = RegionFeatures(2, FeaturesConfig(transform)).double()  # type: ignore[arg-type]
    outputs = features(torch.tensor([[9.0, 16.0]], dtype=torch.float64))
    torch.testing.assert_close(outputs, torch.tensor([expected], dtype=torch.float64))

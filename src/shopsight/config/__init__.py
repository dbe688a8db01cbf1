"""Every stage's settings: one frozen dataclass each, and the only home of defaults.

The command line builds its options from these classes, docstrings included.
"""

from shopsight.config.cross import CrossConfig
from shopsight.config.data import KddcupConfig, NegativesConfig, SyntheticShopConfig, WorldConfig
from shopsight.config.distil import CandidatesConfig, StudentConfig
from shopsight.config.dual import DualConfig
from shopsight.config.encoder import LEARNED, EncoderConfig, FeaturesConfig, WordVectorsConfig
from shopsight.config.evaluation import (
    CompareConfig,
    EvaluateConfig,
    FusionConfig,
    KReciprocalConfig,
)
from shopsight.config.matching import (
    LabelMatchConfig,
    PhotoLabelConfig,
    SentenceMatchConfig,
    WordHeadConfig,
    WordMatchConfig,
)
from shopsight.config.photos import (
    PhotoColumnsConfig,
    PhotosConfig,
    QueryGenerationConfig,
    SmallPhotoConfig,
)
from shopsight.config.recipe import Recipe
from shopsight.config.regions import LearnConfig, RegionsConfig
from shopsight.config.search import ClickLabelConfig, DedupeConfig, IndexConfig, SearchConfig
from shopsight.config.serve import ServeConfig
from shopsight.config.train import FalseNegatives, NegativesFrom, Precision, TrainConfig

__all__ = [
    "LEARNED",
    "CandidatesConfig",
    "ClickLabelConfig",
    "CompareConfig",
    "CrossConfig",
    "DedupeConfig",
    "DualConfig",
    "EncoderConfig",
    "EvaluateConfig",
    "FalseNegatives",
    "FeaturesConfig",
    "FusionConfig",
    "IndexConfig",
    "KReciprocalConfig",
    "KddcupConfig",
    "LabelMatchConfig",
    "LearnConfig",
    "NegativesConfig",
    "NegativesFrom",
    "PhotoColumnsConfig",
    "PhotoLabelConfig",
    "PhotosConfig",
    "Precision",
    "QueryGenerationConfig",
    "Recipe",
    "RegionsConfig",
    "SearchConfig",
    "SentenceMatchConfig",
    "ServeConfig",
    "SmallPhotoConfig",
    "StudentConfig",
    "SyntheticShopConfig",
    "TrainConfig",
    "WordHeadConfig",
    "WordMatchConfig",
    "WordVectorsConfig",
    "WorldConfig",
]

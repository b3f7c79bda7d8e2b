"""The spec: the immutable description of a model, from TOML text to checked values."""

from strandline.spec.estimators import Predicts
from strandline.spec.features import Category, Cross, Feature, Number
from strandline.spec.learners import CountsSpec, FtrlSpec, LearnerSpec, SklearnSpec
from strandline.spec.plugins import PluginSpec
from strandline.spec.spec import Label, Limits, Spec, Weight

__all__ = [
    "Category",
    "CountsSpec",
    "Cross",
    "Feature",
    "FtrlSpec",
    "Label",
    "LearnerSpec",
    "Limits",
    "Number",
    "PluginSpec",
    "Predicts",
    "SklearnSpec",
    "Spec",
    "Weight",
]

"""A finished run's network, asked about images that it has never seen: files, folders and addresses."""

from imgcls.inference.classifier import Classifier, open_classifier
from imgcls.inference.predicting import Answers, predict

__all__ = ["Answers", "Classifier", "open_classifier", "predict"]

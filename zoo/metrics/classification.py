"""Scores of a classifier from its probabilities; scikit-learn does the counting."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support


def classification_scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Top-1 and top-5 accuracy and cross-entropy.

    Args:
        labels: `[N]` class indices.
        probabilities: `[N, K]`, rows that sum to 1.

    Returns:
        `accuracy`, `loss` (mean of -log p, natural logarithm), `examples`, and with more than 5 classes
        `top5_accuracy`.

    >>> scores = classification_scores(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]))
    >>> round(scores["accuracy"], 4), round(scores["loss"], 4), scores["examples"]
    (0.6667, 0.5108, 3)
    """
    classes = probabilities.shape[1]
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    scores = {
        "accuracy": float(np.mean(exact.argmax(axis=1) == labels)),
        "loss": float(log_loss(labels, exact, labels=range(classes))),
        "examples": len(labels),
    }
    if classes > 5:
        highest = np.argpartition(exact, -5, axis=1)[:, -5:]
        scores["top5_accuracy"] = float(np.mean((highest == labels[:, None]).any(axis=1)))
    return scores


def per_class_table(labels: np.ndarray, predicted: np.ndarray, class_names: tuple[str, ...]) -> pd.DataFrame:
    """Precision, recall, F1 and the number of examples of every class, a row each.

    A class that is never predicted has precision 0, one without examples recall 0.
    """
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=range(len(class_names)), zero_division=0
    )
    return pd.DataFrame({"class": class_names, "precision": precision, "recall": recall, "f1": f1, "examples": support})


def draw_confusion(labels: np.ndarray, predicted: np.ndarray, class_names: tuple[str, ...]) -> Figure:
    """The confusion matrix as a picture: rows are true classes, each row's shares sum to 1.

    Up to 30 classes are named, and up to 15 have their counts written in.
    """
    count = len(class_names)
    matrix = confusion_matrix(labels, predicted, labels=range(count))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(2.5 + 0.45 * count, 4, 14))
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(picture, ax=axes, label="share of the true class")
    axes.set(xlabel="predicted class", ylabel="true class")
    if count <= 30:
        axes.set_xticks(range(count), class_names, rotation=45, ha="right")
        axes.set_yticks(range(count), class_names)
    if count <= 15:
        for (row, column), number in np.ndenumerate(matrix):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(number), ha="center", va="center", color=colour)
    return figure

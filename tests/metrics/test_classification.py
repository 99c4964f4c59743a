import numpy as np
import pytest

from zoo.metrics import classification_scores, draw_confusion, per_class_table


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(8), size=200)
    return rng.integers(0, 8, 200), probabilities


def test_scores_agree_with_counting_by_hand(predictions):
    labels, probabilities = predictions
    scores = classification_scores(labels, probabilities)
    ranks = [sorted(row, reverse=True).index(row[label]) for label, row in zip(labels, probabilities, strict=True)]
    assert scores["examples"] == 200
    assert scores["accuracy"] == pytest.approx(sum(rank == 0 for rank in ranks) / 200)
    assert scores["top5_accuracy"] == pytest.approx(sum(rank < 5 for rank in ranks) / 200)
    losses = [-np.log(row[label]) for label, row in zip(labels, probabilities, strict=True)]
    assert scores["loss"] == pytest.approx(sum(losses) / 200)


def test_with_few_classes_there_is_no_top5():
    assert "top5_accuracy" not in classification_scores(np.array([0, 1]), np.full([2, 5], 0.2))


def test_classes_without_examples_or_predictions_have_a_row():
    table = per_class_table(np.array([0, 0, 2]), np.array([0, 2, 2]), ("a", "b", "c")).set_index("class")
    assert list(table["examples"]) == [2, 0, 1]
    assert table.loc["a", "recall"] == 0.5
    assert table.loc["a", "precision"] == 1
    assert table.loc["c", "precision"] == 0.5
    assert table.loc["b", ["precision", "recall", "f1"]].tolist() == [0, 0, 0]


@pytest.mark.parametrize("classes", [2, 20, 100])
def test_the_confusion_picture_shows_the_counts(classes, tmp_path):
    labels = np.arange(classes).repeat(3)
    predicted = labels.copy()
    predicted[0] = 1
    names = tuple(f"class {index}" for index in range(classes))
    figure = draw_confusion(labels, predicted, names)
    axes = figure.axes[0]
    shares = axes.images[0].get_array()
    assert shares[0, 1] == pytest.approx(1 / 3)
    assert shares[1, 1] == 1
    assert ("2" in {text.get_text() for text in axes.texts}) == (classes <= 15)
    assert (axes.get_xticklabels()[0].get_text() == "class 0") == (classes <= 30)
    figure.savefig(tmp_path / "confusion.png")

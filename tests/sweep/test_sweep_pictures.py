"""The pictures of a sweep: every trial is a dot, at its values."""

import itertools

import numpy as np
import pytest

from imgcls.sweep import pictures


@pytest.fixture
def dots(monkeypatch, tmp_path):
    """Give what draws a scatter matrix, and returns the places of the dots and the limits of each field."""

    def drawn(points, values):
        figures = []
        monkeypatch.setattr(pictures, "save_figure", lambda figure, path: figures.append(figure))
        pictures.draw_scatter_matrix(tmp_path / "x.png", points, values, "val_accuracy", maximize=True)
        fields = [axes for axes in figures[0].axes if axes.get_visible() and axes.collections and axes.get_xlabel()]
        return [(axes.collections[0].get_offsets().data, axes.get_xlim(), axes.get_ylim()) for axes in fields]

    return drawn


def test_trials_stand_at_their_values(dots):
    points = [{"optimizer": name, "lr": lr} for name, lr in itertools.product(["adam", "sgd"], [1e-3, 1e-2, 1e-1])]
    ((places, _, _),) = dots(points, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    found = sorted(map(tuple, places.tolist()))
    np.testing.assert_allclose(found, [(0, 0), (0, 0.5), (0, 1), (1, 0), (1, 0.5), (1, 1)])


def test_trials_with_the_same_values_stand_around_them_and_none_outside_of_the_field(dots):
    points = [{"batch": 16 * 4**row, "lr": 10.0**-column} for row, column in itertools.product(range(3), (1, 2))] * 9
    ((places, across, upwards),) = dots(points, list(np.linspace(0, 1, len(points))))
    assert len({*map(tuple, places.tolist())}) == len(points)
    low, high = places.min(axis=0), places.max(axis=0)
    assert across[0] < low[0]
    assert high[0] < across[1]
    assert upwards[0] < low[1]
    assert high[1] < upwards[1]

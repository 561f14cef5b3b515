import numpy as np
from scipy import stats

from imgcls.randomness import derive_seed, generator, uniforms


def test_a_number_depends_on_seed_name_index_and_place_alone():
    together = uniforms(3, "augmentation/1", np.arange(100), 5)
    alone = uniforms(3, "augmentation/1", np.array([42]), 5)

    assert np.array_equal(together[42], alone[0])
    assert not np.allclose(together, uniforms(4, "augmentation/1", np.arange(100), 5))
    assert not np.allclose(together, uniforms(3, "augmentation/2", np.arange(100), 5))


def test_the_numbers_are_uniform_and_unrelated():
    values = uniforms(0, "x", np.arange(20_000), 4)

    assert stats.kstest(values.ravel(), "uniform").pvalue > 1e-3
    assert values.min() >= 0
    assert values.max() < 1
    correlations = np.corrcoef(values.T) - np.eye(4)
    assert np.abs(correlations).max() < 0.03
    assert abs(np.corrcoef(values[:-1, 0], values[1:, 0])[0, 1]) < 0.03


def test_seeds_of_different_names_differ_and_fit_their_bits():
    seeds = {derive_seed(0, str(number), bits=31) for number in range(1000)}
    assert len(seeds) == 1000
    assert max(seeds) < 2**31
    assert generator(0, "a").random() == generator(0, "a").random()

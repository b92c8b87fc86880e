"""The waits between tries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.backoff import Backoff

BACKOFFS = st.builds(Backoff, st.floats(0.01, 100), st.floats(1, 10), st.floats(100, 1000))


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0), (1, 1), (2, 2), (5, 16), (6, 30), (10_000, 30)])
def test_backoff_after_failures_doubles_up_to_the_longest(failures, seconds):
    assert Backoff(1.0, 2.0, 30.0).after(failures) == seconds


@given(BACKOFFS, st.integers(1, 5000))
def test_backoff_never_shrinks_and_stays_between_first_and_longest(backoff, failures):
    wait, next_wait = backoff.after(failures), backoff.after(failures + 1)
    assert backoff.first <= wait <= next_wait <= backoff.longest
    assert next_wait == backoff.longest or next_wait == pytest.approx(wait * backoff.factor)

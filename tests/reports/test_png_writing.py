from __future__ import annotations

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from isotherm.reports.png import encode_png

shapes = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 9)), st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))
)


@settings(deadline=None, max_examples=60)
@given(arrays.arrays(np.uint8, shapes))
def test_pillow_reads_back_what_was_written(pixels: np.ndarray) -> None:
    with Image.open(io.BytesIO(encode_png(pixels))) as picture:
        picture.load()
        assert picture.format == "PNG"
        assert picture.mode == ("L" if pixels.ndim == 2 else "RGB")
        np.testing.assert_array_equal(np.asarray(picture), pixels)


def test_a_mask_is_small() -> None:
    assert len(encode_png(np.zeros((480, 640), dtype=np.uint8))) < 3000

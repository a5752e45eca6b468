from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.store.pieces import NAMED, in_pieces


@given(st.integers(0, 3 * NAMED + 1))
@settings(deadline=None, max_examples=30)
def test_pieces_hold_everything_in_its_order_and_none_is_empty_or_too_long(count: int) -> None:
    values = [str(number) for number in range(count)]
    found = list(in_pieces(values))
    assert [value for piece in found for value in piece] == values
    assert all(0 < len(piece) <= NAMED for piece in found)
    assert len(found) == -(-count // NAMED)

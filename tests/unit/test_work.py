"""Progress and stopping, as all long work knows them."""

import pytest

from editlab.errors import Cancelled
from editlab.work import never, no_progress, part_of, stop_if


def test_work_stops_where_it_is_cancelled_and_nowhere_else():
    stop_if(never)
    with pytest.raises(Cancelled, match="before the scan was complete"):
        stop_if(lambda: True, "Stopped before the scan was complete.")


def test_progress_of_a_part_runs_from_its_start_to_its_end():
    seen = []
    part = part_of(lambda fraction, text: seen.append((fraction, text)), 0.2, 0.6)
    part(0.0, "begin")
    part(0.5, "half")
    part(1.0, "end")
    assert seen == [(pytest.approx(0.2), "begin"), (pytest.approx(0.4), "half"), (pytest.approx(0.6), "end")]


def test_progress_may_go_to_nobody():
    assert no_progress(0.5, "half") is None

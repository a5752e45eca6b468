"""What a server holds in memory does not grow with the uploads it takes in: the objects of Python, one by one."""

from __future__ import annotations

import gc
from collections import Counter

import pytest
from api_cases import picture

from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.images import Upload, take_in
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import create_site

WARM, MORE = 30, 60


@pytest.mark.slow
def test_uploads_leave_no_objects_behind(folder: Service) -> None:
    site = create_site(folder, LOCAL, "plant").id

    def send(numbers: range) -> None:
        for number in numbers:
            (taken,) = take_in(folder, LOCAL, site, [Upload(f"{number}.jpg", picture(number))])
            assert taken.error == ""

    def held() -> Counter[str]:
        gc.collect()
        found = Counter(type(each).__name__ for each in gc.get_objects())
        # Callbacks of weak references in the caches of abstract classes: they fill for some hundred uploads.
        del found["builtin_function_or_method"]
        return found

    send(range(WARM))
    before = held()
    send(range(WARM, WARM + MORE))
    assert {name: count for name, count in (held() - before).items() if count >= MORE // 2} == {}

"""Pictures in a bucket: listed as a folder is, fetched for as long as they are worked on."""

from __future__ import annotations

import pytest

from isotherm.core.errors import DataError
from isotherm.workflows.remote_inputs import fetched, listed
from s3_servers import Bucket


def test_a_bucket_is_listed_as_a_folder_is(bucket: Bucket) -> None:
    for name in ("IR_10.jpg", "IR_9.jpg", "b/IR_1.jpg", ".hidden/x.jpg", "b/.x.jpg", "elsewhere/y.jpg"):
        bucket.put(f"in/{name}" if name[0] != "e" else name, b"x")
    assert [entry.name for entry in listed(f"{bucket.url}/in")] == ["b/IR_1.jpg", "IR_9.jpg", "IR_10.jpg"]


def test_nothing_there_is_said(bucket: Bucket) -> None:
    with pytest.raises(DataError, match=f"{bucket.url}/in: there is no file"):
        listed(f"{bucket.url}/in")


def test_files_are_here_under_their_names_and_go(bucket: Bucket) -> None:
    names = [f"site {number}/ü {number}.jpg" for number in range(20)]
    for name in names:
        bucket.put(f"in/{name}", name.encode())
    with fetched(f"{bucket.url}/in", [*names[:12], "absent.jpg"]) as folder:
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert found == {name: name.encode() for name in names[:12]}
    assert not folder.exists()

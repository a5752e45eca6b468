"""The files of one request that a client may send again: each is taken in once, however often that happens.

What became of a file is written in the transaction that writes its rows. A request that was cut off after some of its
files is sent again, finds these, and goes on with the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from isotherm.core.errors import ConflictError, NotFoundError
from isotherm.store import idempotency
from isotherm.store.database import Database
from isotherm.store.idempotency import Answer
from isotherm.store.tables import Image, Inspection

Rows = tuple[Image, Inspection | None]
TAKEN = 200


@dataclass(frozen=True)
class OnceFile:
    """One file of a request that may come again.

    Parameters
    ----------
    client
        Whose keys they are.
    request_sha256
        What tells the request, its key included, from others [hexadecimal].
    place
        The number of the file in it.
    """

    client: str
    request_sha256: str
    place: int

    @property
    def key(self) -> str:
        """The key of this file; no client can choose it, because a line feed is not allowed in his."""
        return f"{self.request_sha256}\n{self.place}"

    def rows(self, database: Database, work: Callable[[], Rows]) -> Rows:
        """Return what became of the file; `work` makes its rows, and is called where nobody has done so before.

        Raises
        ------
        NotFoundError
            The image was made, and removed since.
        IsothermError
            As `work` does.
        """
        found = self._known(database)
        if found is not None:
            return found
        try:
            return self._made(database, work)
        except ConflictError:
            # The same request at another server of this database was quicker.
            found = self._known(database)
            if found is None:
                raise
            return found

    def _made(self, database: Database, work: Callable[[], Rows]) -> Rows:
        with database.together():
            image, inspection = work()
            ids = {"image": image.id, "inspection": inspection and inspection.id}
            answer = Answer(self.request_sha256, TAKEN, {}, json.dumps(ids))
            with database.write() as session:
                idempotency.keep(session, self.client, self.key, answer)
        return image, inspection

    def _known(self, database: Database) -> Rows | None:
        with database.read() as session:
            found = idempotency.known(session, self.client, self.key)
            if found is None:
                return None
            ids = json.loads(found.body)
            image = session.get(Image, ids["image"])
            if image is None:
                raise NotFoundError("image", ids["image"])
            return image, session.get(Inspection, ids["inspection"]) if ids["inspection"] else None

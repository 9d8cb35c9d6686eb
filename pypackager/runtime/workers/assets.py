"""Commands on assets whose program a worker has: asked by the front process, carried out where the asset is open.

In: commands. Out: numbers, assets made of parts, what a verification found. Never: the media; who verifies reads the files by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from pypackager.control.opened import Here
from pypackager.control.ports import Measured
from pypackager.dvr.assets import Asset
from pypackager.dvr.verify import Findings
from pypackager.model.errors import PackagerError
from pypackager.runtime.fleet import Fleet
from pypackager.runtime.workers.post import Post
from pypackager.runtime.workers.words import AssetCall

ASSET_S = 600.0
"""How long a command may take: a clip links thousands of files, and what was found is folded from the whole journal."""


@dataclass(frozen=True)
class There:
    """Implements control.ports.Opened for an asset in a worker.

    Raises (from all): WORKER_DOWN, WORKER_SILENT (503); ASSET_UNREADABLE for what its files or its disk do not let be done.
    """

    post: Post
    name: str

    async def anchor_ns(self) -> int:
        """UTC of media time 0."""
        found: int = await self._ask(AssetCall(self.name, "anchor"), int)
        return found

    async def measure(self) -> Measured:
        """It in numbers."""
        found: Measured = await self._ask(AssetCall(self.name, "measure"), Measured)
        return found

    async def clip(self, name: str, start_ns: int, end_ns: int, now_ns: int) -> None:
        """Makes an asset of a part of it; see Opened."""
        await self._ask(AssetCall(self.name, "clip", name, start_ns, end_ns, now_ns))

    async def conclude(self, found: Findings) -> None:
        """What a verification found is so from now on; see Opened."""
        await self._ask(AssetCall(self.name, "conclude", found=found))

    async def _ask(self, call: AssetCall, answer: Any = None) -> Any:
        if self.post.link is None:
            raise PackagerError("WORKER_DOWN", "the worker that has its program is being started", status=503, fault="us")
        return await self.post.link.ask("asset", call, answer, ASSET_S)


async def answer_asset(fleet: Fleet, assets: Path, call: AssetCall) -> Any:
    """Carries out a command in the worker.

    Raises:
        PackagerError: see Opened and There.
    """
    try:
        opened = fleet.asset(call.asset)
        asset = Here(opened if opened is not None else await trio.to_thread.run_sync(Asset.open, assets / call.asset))
        if call.what == "anchor":
            return await asset.anchor_ns()
        if call.what == "measure":
            return await asset.measure()
        if call.what == "clip":
            return await asset.clip(call.name, call.start_ns, call.end_ns, call.now_ns)
        if call.found is not None:
            await asset.conclude(call.found)
            fleet.review()
    except OSError as error:
        raise PackagerError("ASSET_UNREADABLE", str(error), status=500, where=call.asset, fault="operator") from error

"""An asset that is open in this process, as commands see it.

In: commands on one asset. Out: numbers, assets made of its parts, what a verification found. Never: a look at who may say so.
"""

from __future__ import annotations

from dataclasses import dataclass

import trio

from pypackager.control.ports import Measured
from pypackager.dvr.assets import Asset
from pypackager.dvr.measure import measure
from pypackager.dvr.verify import Findings


@dataclass(frozen=True)
class Here:
    """Implements control.ports.Opened; two are the same when their asset is the same one."""

    asset: Asset

    async def anchor_ns(self) -> int:
        """UTC of media time 0."""
        await trio.lowlevel.checkpoint()
        return self.asset.presentation().anchor_ns

    async def measure(self) -> Measured:
        """It in numbers; looks at its files."""
        shown = self.asset.presentation()
        return Measured(await trio.to_thread.run_sync(measure, shown, self.asset.directory), shown.anchor_ns)

    async def clip(self, name: str, start_ns: int, end_ns: int, now_ns: int) -> None:
        """Makes an asset of what it has from `start_ns` to `end_ns` of media time.

        Raises:
            PackagerError: ASSET_EXISTS, CLIP_EMPTY (409).
            OSError: there is no asset then.
        """
        part = self.asset.excerpt(name, start_ns, end_ns, now_ns)
        await trio.to_thread.run_sync(part.make, self.asset.directory.with_name(name))

    async def conclude(self, found: Findings) -> None:
        """What was found is so from now on.

        Raises:
            PackagerError: ASSET_RUNNING, ASSET_CHANGED (409).
            OSError: it could not be written.
        """
        ledger = await trio.to_thread.run_sync(found.ledger, self.asset.directory)
        self.asset.conclude(found, ledger)

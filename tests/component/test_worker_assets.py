"""Assets whose programs are a worker's: they are measured, cut and verified where they are open, and viewers see what was found at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from pypackager.config.schema import Tuning
from pypackager.dvr.assets import Asset
from tests.component.test_archive import Archived
from tests.component.test_download import damage


async def test_damage_that_is_found_in_a_workers_asset_is_left_out_at_once(tmp_path: Path) -> None:
    life = Archived(tmp_path, channel=[], tuning=Tuning(workers=2))
    async with life.running():
        await life.record()
        url = (await life.fine("POST", "locators", {"asset": "show", "path": "tv"}, 201))["urls"][0]
        running = await life.fine("GET", "assets/show")
        assert [track["fragments"] for track in running["measure"]["tracks"]] == [3, 3, 3]
        second = (datetime.fromisoformat(running["start"]) + timedelta(seconds=1.2)).isoformat()
        clip = await life.fine("POST", "assets", {"asset": "show", "name": "clip", "start": second}, 201)
        assert clip["clip"]
        part = await life.fine("GET", "assets/clip")
        assert 0 < part["measure"]["duration_ns"] < running["measure"]["duration_ns"]
        assert await life.refused("POST", "assets", {"asset": "show", "name": "none", "start": 100}) == (409, "CLIP_EMPTY")
        assert await life.refused("POST", "assets/show/verify") == (409, "ASSET_RUNNING")
        await life.end()
        shown = Asset.open(tmp_path / "data" / "assets" / "show").presentation()
        picture = shown.tracks[0]
        url = url.removesuffix("manifest") + f"hls/{picture.info.id}.m3u8"
        assert (await life.client.get(url)).text.count("#EXT-X-GAP") == 0
        damage(Path(shown.blob_paths[int(picture.blob[1])]), int(picture.offset[1]) + int(picture.size[1]) - 9)
        operation = await life.fine("POST", "assets/show/verify", status=202)
        while (ended := await life.fine("GET", f"operations/{operation['id']}"))["status"] == "running":
            pass
        assert ended["error"] is None
        asset = await life.fine("GET", "assets/show")
        assert asset["verified"] == ended["result"]
        assert [track["gaps"] for track in asset["measure"]["tracks"]] == [1, 0, 0]
        answer = (await life.client.get(url)).text
        assert answer.count("#EXT-X-GAP") == 1, "its program is there, and so is the worker's own view of it"
        found = Asset.open(tmp_path / "data" / "assets" / "show").description.verified
        # And what the worker has is what the next one opens.
        assert msgspec.json.decode(msgspec.json.encode(found)) == asset["verified"]

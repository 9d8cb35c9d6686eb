"""A daemon that gets too little of the processor says so."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.helpers.daemon import Channel, running_daemon
from tests.helpers.encoders import wait_until

pytestmark = pytest.mark.e2e


def test_it_tells_of_turns_that_come_late(tmp_path: Path) -> None:
    with running_daemon(tmp_path, Channel("news"), unjudged="nothing is published") as daemon:
        for _ in range(2):
            daemon.pause(4.0)
            # The turn that was late is made, the next one has not come.
            time.sleep(0.5)
        wait_until(lambda: '"code":"CAPACITY"' in daemon.log(), "nothing was told")
        alerts = daemon.get(daemon.control("v1/channels/news")).json()["alerts"]
        assert "turns of this process come" in next(alert["detail"] for alert in alerts if alert["code"] == "CAPACITY")

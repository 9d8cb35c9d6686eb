"""The two ingest URLs of a channel, which two paths of a redundant encoder are pushed to."""

from __future__ import annotations

from typing import Literal

Side = Literal["primary", "secondary"]

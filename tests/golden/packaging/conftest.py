"""Packaging is tested with or without the native core."""

from __future__ import annotations

from tests.helpers import fake_core

fake_core.install()

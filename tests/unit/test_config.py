"""The TOML file: values, defaults, and faults that say where."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypackager.config.load import load_config, parse_config
from pypackager.config.reference import render_reference
from pypackager.model.address import parse_address
from pypackager.model.duration import format_duration, parse_duration
from pypackager.model.errors import PackagerError
from tests.helpers.certificates import Authority

GOOD = """\
data_dir = "/var/lib/pypackager"

[listen]
rtmp = ["0.0.0.0:1935", "[::]:1935"]

[[channel]]
name = "news"
protocol = "rtmp"
ingest_allow = ["127.0.0.1", "10.0.0.1/22", "10.0.0.1(255.255.252.0)"]

[[channel.program]]
name = "show"
archive_window = "1h"
locator = true
"""


def test_values_and_defaults() -> None:
    config = parse_config(GOOD)
    channel = config.channel[0]
    assert (channel.name, channel.protocol, channel.state, channel.preview_window) == ("news", "rtmp", "running", "5m")
    assert channel.program[0].locator is True
    assert config.listen.origin == ["0.0.0.0:8080"]
    assert config.streaming_endpoint == []


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ('protocol = "rtmp"', "protocol = 5", ":8: channel[0].protocol", ""),
        ('protocol = "rtmp"', 'protocoll = "rtmp"', ":8: channel[", "protocoll"),
        ('name = "show"', 'name = "sh/ow"', "channel[0].program[0].name", ""),
        ('archive_window = "1h"', 'archive_window = "26h"', ":13: channel[0].program[0].archive_window", "between 5m and 25h"),
        ('archive_window = "1h"', 'archive_window = "1 hour"', ":13: channel[0].program[0].archive_window", "duration"),
        ('"0.0.0.0:1935"', '"0.0.0.0"', ":4: listen.rtmp[0]", "host:port"),
        ('"10.0.0.1/22"', '"10.0.0.1/44"', ":9: channel[0].ingest_allow", "10.0.0.1/44"),
        ("locator = true", "locator = ", "", ""),
        ("locator = true", 'locator = "play"', ":14: channel[0].program[0].locator", "own"),
    ],
)
def test_faults_name_the_line_and_the_key(old: str, new: str, place: str, words: str) -> None:
    with pytest.raises(PackagerError) as caught:
        parse_config(GOOD.replace(old, new), "p.toml")
    assert caught.value.code == "CONFIG_INVALID"
    assert caught.value.fault == "operator"
    assert place in caught.value.where, caught.value.where
    assert words in caught.value.detail


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        ({}, "", ""),
        ({"one.pem": "gone.pem"}, ":2: tls[0].certificate", "gone.pem: No such file"),
        ({"one.pem": "one.key"}, ":2: tls[0].certificate", "no certificate in it"),
        ({"one.key": "one.pem"}, ":3: tls[0].key", "no private key in it"),
        ({"two.key": "one.key"}, ":7: tls[1].key", "is not the key of"),
        ({"key =": "kye ="}, ":3: tls[", "kye"),
    ],
)
def test_a_pair_that_is_none_stops_the_start(tmp_path: Path, change: dict[str, str], place: str, words: str) -> None:
    for authority, name in (Authority(tmp_path), "one"), (Authority(tmp_path), "two"):
        authority.issue(name)
    text = "".join(f'[[tls]]\ncertificate = "{tmp_path}/{name}.pem"\nkey = "{tmp_path}/{name}.key"\n\n' for name in ("one", "two"))
    for old, new in change.items():
        text = text.replace(old, new, 1)
    if not place:
        assert [pair.key for pair in parse_config(text).tls] == [str(tmp_path / "one.key"), str(tmp_path / "two.key")]
        return
    with pytest.raises(PackagerError) as caught:
        parse_config(text, "p.toml")
    assert place in caught.value.where, caught.value.where
    assert words in caught.value.detail


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[listen]\ncontrol_tls = ["127.0.0.1:8091"]\n', "p.toml:2: listen.control_tls"),
        ('[listen]\nrtmp = []\nrtmps = ["127.0.0.1:1936"]\n', "p.toml:3: listen.rtmps"),
        ('[listen]\ningest_tls = ["127.0.0.1:8443"]\n', "p.toml:2: listen.ingest_tls"),
        (
            "[[streaming_endpoint]]\n[[streaming_endpoint]]\nname = 'x'\nlisten = ['[::1]:1']\ntls = true\n",
            "p.toml:5: streaming_endpoint[1].tls",
        ),
    ],
)
def test_what_speaks_tls_needs_a_certificate(text: str, place: str) -> None:
    with pytest.raises(PackagerError, match=r"add a \[\[tls\]\] table") as caught:
        parse_config(text, "p.toml")
    assert caught.value.where == place


def test_the_authorities_of_encoders_are_a_file_that_somebody_asks_for(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("one")
    text = f'[listen]\nrtmps = ["127.0.0.1:0"]\ningest_client_ca = "{authority.path}"\n'
    text += f'[[tls]]\ncertificate = "{pair.certificate}"\nkey = "{pair.key}"\n'
    assert parse_config(text).listen.ingest_client_ca == str(authority.path)
    for old, new, words in (
        (str(authority.path), str(tmp_path / "gone.pem"), "gone.pem: No such file"),
        (str(authority.path), pair.key, "there is no certificate in it"),
        ('rtmps = ["127.0.0.1:0"]', "rtmps = []", "nobody is asked"),
    ):
        with pytest.raises(PackagerError) as caught:
            parse_config(text.replace(old, new, 1), "p.toml")
        assert caught.value.where == "p.toml:3: listen.ingest_client_ca"
        assert words in caught.value.detail


def test_names_are_unique() -> None:
    with pytest.raises(PackagerError, match="two channels"):
        parse_config('[[channel]]\nname = "a"\n[[channel]]\nname = "a"\n')


def test_an_ingest_host_is_one_channels() -> None:
    with pytest.raises(PackagerError, match=r"'in\.test' is named twice"):
        parse_config('[[channel]]\nname = "a"\ningest_hosts = ["in.test"]\n[[channel]]\nname = "b"\ningest_hosts = ["in.test"]\n')


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(PackagerError) as caught:
        load_config(tmp_path / "none.toml")
    assert caught.value.code == "CONFIG_MISSING"


def test_durations_and_addresses() -> None:
    assert parse_duration("1h30m") == 5_400_000_000_000
    assert parse_duration("2.002s") == 2_002_000_000
    assert [format_duration(parse_duration(text)) for text in ("5m", "90s", "1500ms", "25h")] == ["5m", "90s", "1500ms", "25h"]
    address = parse_address("[::1]:0")
    assert (address.host, address.port, str(address)) == ("::1", 0, "[::1]:0")
    for bad in ("", "s", "5", "5 parsecs", "-1s"):
        with pytest.raises(PackagerError):
            parse_duration(bad)


def test_the_reference_page_is_the_schema() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "config.md"
    assert page.read_text() == render_reference(), "run: python -m pypackager.config.reference > docs/reference/config.md"

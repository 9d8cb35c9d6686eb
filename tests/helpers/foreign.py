"""Other people's packagers: nginx that serves FFmpeg's files, and nginx-rtmp that makes its own.

In: a folder. Out: a server that is ended properly, and an FFmpeg that publishes live into the folder.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.edge import wait_for
from tests.helpers.encoders import Encoder, program
from tests.helpers.media import LADDER, ffmpeg, material
from tests.helpers.ports import free_port

_RTMP_MODULES = (Path("/usr/lib/nginx/modules/ngx_rtmp_module.so"), Path("/usr/share/nginx/modules/ngx_rtmp_module.so"))
_HTTP = """
http {{
    {temporary}
    types {{
        application/vnd.apple.mpegurl m3u8; application/dash+xml mpd; video/mp2t ts; video/mp4 mp4 m4s m4v; audio/mp4 m4a;
    }}
    access_log off;
    add_header Access-Control-Allow-Origin *;
    server {{
        listen 127.0.0.1:{http};
        root {folder};
        location ~ \\.(m3u8|mpd)$ {{ expires 1s; add_header Access-Control-Allow-Origin *; }}
        location / {{ expires 1h; add_header Access-Control-Allow-Origin *; }}
    }}
}}
"""
_RTMP = """
rtmp {{
    access_log off;
    server {{
        listen 127.0.0.1:{rtmp};
        application live {{
            live on;
            hls on; hls_path {folder}/nginx-hls; hls_fragment 2s; hls_playlist_length 10s;
            dash on; dash_path {folder}/nginx-dash; dash_fragment 2s; dash_playlist_length 10s;
        }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path) -> Iterator[tuple[str, str]]:
    """Serves a folder well, and takes RTMP and packages it. Gives both URLs.

    Raises:
        AssertionError: nginx or its RTMP module is not installed; the message says what to install.
    """
    module = next((path for path in _RTMP_MODULES if path.exists()), None)
    assert module is not None, "nginx's RTMP module is missing: apt-get install libnginx-mod-rtmp"
    http, rtmp = free_port(), free_port()
    for name in ("nginx-hls", "nginx-dash"):
        (folder / name).mkdir()
    temporary = "".join(f"{kind}_temp_path {folder}/temp-{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    # Workers of root would otherwise be nobody, who may not enter a test's folder.
    text = f"load_module {module};\n"
    text += "user root;\n" if os.geteuid() == 0 else ""
    text += f"daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
    text += _HTTP.format(temporary=temporary, http=http, folder=folder) + _RTMP.format(rtmp=rtmp, folder=folder)
    (folder / "nginx.conf").write_text(text)
    command = [program("nginx", "nginx-light"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with (folder / "nginx.out").open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        wait_for(process, http, folder)
        yield f"http://127.0.0.1:{http}/", f"rtmp://127.0.0.1:{rtmp}/live/show"
    finally:
        process.terminate()
        process.wait(10)


def live_ffmpeg(folder: Path, rtmp: str) -> Encoder:
    """FFmpeg at the pace of its input: HLS in both containers, DASH, and RTMP."""
    one = ["-map", "0:0", "-map", "0:4", "-c", "copy"]
    hls = ["-f", "hls", "-hls_time", "2", "-hls_list_size", "6", "-hls_flags", "delete_segments+program_date_time+independent_segments"]
    dash = ["-f", "dash", "-seg_duration", "2", "-window_size", "6", "-extra_window_size", "6", "-use_template", "1", "-use_timeline", "1"]
    for name in ("ts", "fmp4", "dash"):
        (folder / name).mkdir()
    command = [ffmpeg(), "-hide_banner", "-loglevel", "warning", "-re", "-i", str(material(LADDER))]
    command += [*one, *hls, str(folder / "ts/live.m3u8")]
    command += [*one, *hls, "-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "live.mp4", str(folder / "fmp4/live.m3u8")]
    command += [*one, *dash, str(folder / "dash/live.mpd")]
    return Encoder([*command, *one, "-f", "flv", rtmp], folder / "ffmpeg.log")

"""Other servers that take the same ladder, or give the same bytes, measured in the same run where they are installed."""

from benchmarks.peers.nginx_rtmp import NGINX_INTAKE, NGINX_RTMP
from benchmarks.peers.nginx_static import NGINX_STATIC
from benchmarks.peers.peer import Peer

PEERS = (NGINX_RTMP,)

__all__ = ["NGINX_INTAKE", "NGINX_RTMP", "NGINX_STATIC", "PEERS", "Peer"]

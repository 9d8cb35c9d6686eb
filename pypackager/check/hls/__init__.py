"""HLS (draft-pantos-hls-rfc8216bis, cited as RFC 8216bis): text of playlists in, tracks and findings out."""

"""Files that are written whole or not at all: bytes, pictures and self-contained HTML pages."""

from streamstyle.files.picture_file import check_format, encode, read_picture, write_picture
from streamstyle.files.whole_file import check_writable, make_folder, write_whole

__all__ = [
    "check_format",
    "check_writable",
    "encode",
    "make_folder",
    "read_picture",
    "write_picture",
    "write_whole",
]

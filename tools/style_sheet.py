"""A contact sheet: a row per picture, the picture first, then every bundled style.

python3 tools/style_sheet.py PICTURE... -o docs/styles.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import environment

CELL = (288, 216)  # width, height
WORK = (576, 432)  # strokes are made for frames, not for thumbnails
HEADER = 22


def main() -> None:
    """Draw the sheet."""
    environment.enter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()

    import cv2
    import numpy as np

    from streamstyle.engines.open import open_engine
    from streamstyle.styles.bundle import load_bundle
    from streamstyle.train.data import read_picture
    from streamstyle.types import Look

    bundle = load_bundle()
    engine = open_engine("torch", bundle.manifest.architecture, bundle.weights, WORK[1], WORK[0])
    rows = []
    for path in arguments.pictures:
        pixels = _cover(read_picture(path), WORK)
        painted = [
            engine.start(pixels, Look(np.stack([style.code, style.code])))() for style in bundle.styles
        ]
        rows.append(
            np.hstack([cv2.resize(p, CELL, interpolation=cv2.INTER_AREA) for p in (pixels, *painted)])
        )
    header = np.full((HEADER, rows[0].shape[1], 3), 255, np.uint8)
    for column, name in enumerate(("original", *bundle.names)):
        where = (column * CELL[0] + 6, HEADER - 7)
        cv2.putText(header, name, where, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    sheet = np.vstack([header, *rows])
    cv2.imwrite(str(arguments.out), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def _cover(pixels, size):  # type: ignore[no-untyped-def]
    """Cut the middle of `size`'s aspect and resize to it."""
    import cv2

    height, width = pixels.shape[:2]
    scale = min(width / size[0], height / size[1])
    w, h = int(size[0] * scale), int(size[1] * scale)
    top, left = (height - h) // 2, (width - w) // 2
    cut = pixels[top : top + h, left : left + w]
    return cv2.resize(cut, size, interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC)


if __name__ == "__main__":
    main()

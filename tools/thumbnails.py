"""Paint the thumbnail of every bundled style from noise alone: streamstyle/styles/thumbnails/NAME.jpg.

python3 tools/thumbnails.py
"""

from __future__ import annotations

import argparse

import environment

SIDE = 192
WORK = 384  # strokes are made for frames, not for thumbnails
MAX_BYTES = 8 * 1024  # bytes


def main() -> None:
    """Write all thumbnails, and remove those of styles that are gone."""
    environment.enter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.parse_args()

    import cv2
    import numpy as np

    from streamstyle.explain.swatch import swatch
    from streamstyle.files import encode
    from streamstyle.nets.generator import restore_generator
    from streamstyle.styles.bundle import load_bundle
    from streamstyle.styles.thumbnail import THUMBNAILS

    bundle = load_bundle()
    generator = restore_generator(bundle.manifest.architecture, bundle.weights)
    THUMBNAILS.mkdir(exist_ok=True)
    for path in THUMBNAILS.glob("*.jpg"):
        if path.stem not in bundle.names:
            path.unlink()
    for style in bundle.styles:
        picture = swatch(generator, style.code, WORK, WORK)
        small = np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
        files = (encode(small, ".jpg", quality=quality) for quality in range(85, 10, -5))
        data = next(data for data in files if len(data) <= MAX_BYTES)
        (THUMBNAILS / f"{style.name}.jpg").write_bytes(data)
        print(f"{style.name:20} {len(data)} bytes")


if __name__ == "__main__":
    main()

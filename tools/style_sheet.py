"""Contact sheets of the bundled styles. A PICTURE is a file, or FILM@INDEX: a frame of a film.

python3 tools/style_sheet.py PICTURE... -o docs/faces.jpg           bands of styles, a row per picture
python3 tools/style_sheet.py --cell 320x180 --network full ...      larger cells, another network
python3 tools/style_sheet.py --clip FILE -o docs/clip.jpg           a row per style, a column per moment
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamstyle.types import Picture

WORK = (640, 360)  # width, height: strokes are made for frames, not for thumbnails
HEADER = 20


def main() -> None:
    """Draw a sheet."""
    environment.enter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pictures", nargs="*", metavar="PICTURE")
    parser.add_argument("--cell", type=_size, default=(256, 144), metavar="WxH", help="default: 256x144")
    parser.add_argument("--clip", metavar="FILE")
    parser.add_argument("--network", default="lite")
    parser.add_argument("--styles", nargs="+", help="default: all")
    parser.add_argument("--columns", type=int, default=6, help="styles of a band, moments of the clip")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()

    import cv2
    import numpy as np

    from streamstyle.engines.open_engine import open_engine
    from streamstyle.engines.request import EngineRequest, NetworkWeights
    from streamstyle.styles.bundle import load_bundle, network_folder
    from streamstyle.types import StyleCondition

    cell = arguments.cell
    bundle = load_bundle(network_folder(arguments.network))
    engine = open_engine(
        EngineRequest(
            WORK[1], WORK[0], NetworkWeights(bundle.manifest.architecture, bundle.weights), "openvino"
        )
    )
    conditions = {s.name: StyleCondition(np.stack([s.code, s.code])) for s in bundle.styles}

    def paint(pixels: Picture, style: str) -> Picture:
        return engine.start(pixels, conditions[style]).result()

    styles = arguments.styles or list(conditions)
    if arguments.clip:
        sheet = clip_sheet(arguments.clip, styles, arguments.columns, paint, cell)
    else:
        pictures = [cover(read(text), WORK) for text in arguments.pictures]
        count = arguments.columns
        bands = [
            photo_band(pictures, styles[i : i + count], paint, cell) for i in range(0, len(styles), count)
        ]
        width = max(band.shape[1] for band in bands)
        fill = [np.full((len(b), width - b.shape[1], 3), 255, np.uint8) for b in bands]
        sheet = np.vstack([np.hstack(pair) for pair in zip(bands, fill, strict=True)])
    cv2.imwrite(str(arguments.out), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 86])


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def read(text: str) -> Picture:
    """The picture of a file, or a frame of a film: FILM@INDEX."""
    from itertools import islice

    from streamstyle.files import read_picture
    from streamstyle.media.open import open_source

    film, at, index = text.rpartition("@")
    if not at:
        return read_picture(Path(text))
    with open_source(film) as source:
        return next(islice(source, int(index), None)).pixels


def photo_band(
    pictures: Sequence[Picture],
    styles: Sequence[str],
    paint: Callable[[Picture, str], Picture],
    cell: tuple[int, int],
) -> Picture:
    """The pictures, and beside them each of them in every style, with the names above."""
    import numpy as np

    rows = [[p, *(paint(p, style) for style in styles)] for p in pictures]
    body = np.vstack([np.hstack([small(picture, cell) for picture in row]) for row in rows])
    return np.vstack([names_above(("original", *styles), cell[0]), body])


def clip_sheet(
    url: str,
    styles: Sequence[str],
    columns: int,
    paint: Callable[[Picture, str], Picture],
    cell: tuple[int, int],
) -> Picture:
    """Moments spread evenly over a clip: a row of the original, then a row per style."""
    import numpy as np

    from streamstyle.media.open import open_source

    with open_source(url) as source:
        frames = [cover(frame.pixels, WORK) for frame in source]
    moments = [frames[round(i * (len(frames) - 1) / (columns - 1))] for i in range(columns)]
    rows = [np.hstack([small(p, cell) for p in moments])]
    for style in styles:
        painted = np.hstack([small(paint(p, style), cell) for p in moments])
        rows += [names_above((style,), painted.shape[1]), painted]
    return np.vstack(rows)


def names_above(names: Sequence[str], width: int) -> Picture:
    """A white strip with a name at the left of every cell of `width` pixels."""
    import cv2
    import numpy as np

    strip = np.full((HEADER, width * len(names), 3), 255, np.uint8)
    for column, name in enumerate(names):
        where = (column * width + 5, HEADER - 6)
        cv2.putText(strip, name, where, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def small(picture: Picture, size: tuple[int, int]) -> Picture:
    """Shrunk to a cell."""
    import cv2
    import numpy as np

    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def cover(picture: Picture, size: tuple[int, int]) -> Picture:
    """The middle of `size`'s aspect, resized to it."""
    import cv2
    import numpy as np

    height, width = picture.shape[:2]
    scale = min(width / size[0], height / size[1])
    w, h = int(size[0] * scale), int(size[1] * scale)
    top, left = (height - h) // 2, (width - w) // 2
    cut = picture[top : top + h, left : left + w]
    how = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(cut, size, interpolation=how), np.uint8)


if __name__ == "__main__":
    main()

"""Video and audio in and out. The only room that knows FFmpeg."""

# Before any `import av`: the other order makes OpenCV's windows hang on Linux.
import cv2 as cv2

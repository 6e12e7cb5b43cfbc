"""Video and audio in and out. The only room that knows FFmpeg."""

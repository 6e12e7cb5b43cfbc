"""The page that shows the frames. It asks for one picture at a time, so that what it shows is never old."""

from __future__ import annotations

import secrets

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>streamstyle preview</title>
<style nonce="NONCE">
  body { margin: 0; background: #111; color: #ddd; font: 15px/1.5 system-ui, sans-serif; }
  main { display: flex; flex-direction: column; height: 100vh; }
  canvas { flex: 1; min-height: 0; width: 100%; object-fit: contain; }
  p { margin: 0; padding: .4em 1em; font-variant-numeric: tabular-nums; }
  .flagged { background: #a40; color: #fff; }
  .bare p { display: none; }
</style>
<main>
  <canvas aria-label="the painted video"></canvas>
  <p role="status">waiting for the first frame</p>
</main>
<script nonce="NONCE">
  "use strict";
  // ...#bare shows nothing but the picture, for OBS.
  if (location.hash === "#bare") document.body.className = "bare";
  const canvas = document.querySelector("canvas"), line = document.querySelector("p");
  const say = (text, flagged) => { line.textContent = text; line.className = flagged ? "flagged" : ""; };
  const show = async () => {
    const late = setTimeout(() => say("no frame comes", false), 2000);
    try {
      const answer = await fetch("frame.jpg" + location.search);
      if (!answer.ok) throw new Error(answer.status);
      const state = JSON.parse(answer.headers.get("Frame-State"));
      const picture = await createImageBitmap(await answer.blob());
      canvas.width = picture.width;
      canvas.height = picture.height;
      canvas.getContext("2d").drawImage(picture, 0, 0);
      picture.close();
      say(`${state.fps.toFixed(1)} fps · ${Math.round(state.age_ms)} ms old · ` +
          `${canvas.width}x${canvas.height} · ${state.style}` +
          (state.stand_in ? " · the source is silent" : "") +
          (state.kinds.length ? ` · ${state.kinds.join(", ")}: ${state.action}` : ""),
          state.kinds.length > 0);
    } catch (error) {
      say("no connection: " + error.message, false);
      await new Promise(resolve => setTimeout(resolve, 1000));
    }
    clearTimeout(late);
    show();
  };
  show();
</script>
</html>
"""


def page() -> tuple[bytes, str]:
    """The page, and the content security policy under which just it may run."""
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return _PAGE.replace("NONCE", nonce).encode(), policy

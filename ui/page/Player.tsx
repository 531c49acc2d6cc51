/** The video of a scene, in the player that Stash uses. */
import React, { useEffect, useRef } from "react";
import videojs, { type VideoJsPlayer } from "video.js";
import type { Scene } from "./documents";
import { component } from "./patch";

const PLAYER_ID = "VideoJsPlayer";

/** What plugins find under `InteractiveUtils`. */
export function getPlayer(): VideoJsPlayer | undefined {
  return videojs.getPlayer(PLAYER_ID) ?? undefined;
}

/** Go to a time, and play from there. */
export function seek(seconds: number): void {
  const player = getPlayer();
  player?.currentTime(seconds);
  // A browser may refuse to play what nobody has clicked at; the time holds all the same.
  player?.play()?.catch(() => undefined);
}

interface Props {
  scene: Scene;
  startAt: number;
}

export const ScenePlayer = component<Props>("ScenePlayer", ({ scene, startAt }) => {
  const place = useRef<HTMLDivElement>(null);
  const { stream, screenshot } = scene.paths;
  useEffect(() => {
    const video = document.createElement("video-js");
    video.id = PLAYER_ID;
    video.className = "vjs-big-play-centered";
    place.current?.append(video);
    const player = videojs(video, {
      controls: true,
      fill: true,
      preload: "metadata",
      ...(screenshot === null ? {} : { poster: screenshot }),
    });
    if (stream !== null) player.src({ src: stream, type: "video/mp4" });
    if (startAt > 0) player.one("loadedmetadata", () => player.currentTime(startAt));
    return () => player.dispose();
  }, [stream, screenshot, startAt]);
  return (
    <div className="VideoPlayer">
      <div className="video-wrapper" ref={place} />
    </div>
  );
});

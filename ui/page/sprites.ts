/** The frames of a scene's sprite sheet, as Stash's own hook reads them. */
import { useEffect, useState } from "react";

export interface SpriteInfo {
  url: string;
  start: number;
  end: number;
  x: number;
  y: number;
  w: number;
  h: number;
}

const TIME = /(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)/;

function seconds(text: string): number {
  const [, hours = "0", minutes = "0", rest = "0"] = TIME.exec(text) ?? [];
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(rest);
}

/** Cues of a VTT whose text is a place in a picture. Raises TypeError for a relative address. */
export function readSprites(vtt: string, address: string): SpriteInfo[] {
  return vtt.split(/\r?\n\r?\n/).flatMap((cue) => {
    const times = /(\S+) --> (\S+)/.exec(cue);
    const place = /^([^#\n]*)#xywh=(\d+),(\d+),(\d+),(\d+)\s*$/im.exec(cue);
    if (!times || !place) return [];
    const [x, y, w, h] = place.slice(2).map(Number) as [number, number, number, number];
    const url = new URL(place[1] ?? "", address).href;
    return [{ url, start: seconds(times[1] ?? ""), end: seconds(times[2] ?? ""), x, y, w, h }];
  });
}

export function useSpriteInfo(address: string | undefined): SpriteInfo[] | null | undefined {
  const [found, setFound] = useState<SpriteInfo[] | null>();
  useEffect(() => {
    setFound(undefined);
    if (!address) return;
    let gone = false;
    void fetch(address).then(async (answer) => {
      const sprites = answer.ok ? readSprites(await answer.text(), address) : null;
      if (!gone) setFound(sprites);
    });
    return () => {
      gone = true;
    };
  }, [address]);
  return found;
}

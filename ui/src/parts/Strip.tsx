/** The frames that show why, at their times. */
import React, { useEffect, useRef, useState } from "react";
import type { SenseError, Shapes } from "../stash/calls";
import "./parts.css";
import { dataAddress, type Picture, picture, sheetAddress } from "./pictures";
import { clock, percent } from "./words";

/** A frame, and how certain it is that something was seen in it, where anybody looked. */
export interface Shot extends Pick<Shapes["Proof"], "time_s" | "box" | "text"> {
  score: number | null;
}

interface Props {
  sceneId: string;
  proofs: readonly Shot[];
  durationS: number | null;
  seek(seconds: number): void;
  /** The best so many are shown. */
  most: number;
  /** Whether the tab key stops at the first frame; left and right go on. */
  stops?: boolean;
}

export function Strip({ sceneId, proofs, durationS, seek, most, stops = true }: Props) {
  const [place, seen] = useSeen<HTMLDivElement>();
  const shown = best(proofs, most, durationS);
  if (shown.length === 0) return null;
  return (
    <div className="sense-strip" ref={place}>
      {shown.map((proof, i) => (
        <Frame
          key={proof.time_s}
          sceneId={sceneId}
          proof={proof}
          seen={seen}
          stops={stops && i === 0}
          seek={seek}
        />
      ))}
    </div>
  );
}

/** The best of them in the order of time, one of each moment that is told from the others. */
function best(proofs: readonly Shot[], most: number, durationS: number | null): Shot[] {
  const moments = new Map<string, Shot>();
  for (const proof of [...proofs].sort((a, b) => (b.score ?? 0) - (a.score ?? 0))) {
    if (durationS !== null && proof.time_s > durationS + 1) continue;
    const moment = clock(proof.time_s);
    if (!moments.has(moment)) moments.set(moment, proof);
  }
  return [...moments.values()].slice(0, most).sort((a, b) => a.time_s - b.time_s);
}

interface FrameProps {
  sceneId: string;
  proof: Shot;
  seen: boolean;
  seek(seconds: number): void;
  stops: boolean;
}

function Frame({ sceneId, proof, seen, seek, stops }: FrameProps) {
  const found = usePicture(sceneId, proof.time_s, seen);
  const time = clock(proof.time_s);
  const said = [proof.text && `“${proof.text}”`, proof.score !== null && percent(proof.score)]
    .filter(Boolean)
    .join(", ");
  return (
    <button
      type="button"
      className="sense-frame"
      tabIndex={stops ? 0 : -1}
      title={`Play from ${time}${said && ` (${said})`}`}
      aria-label={`Play from ${time}`}
      onClick={() => seek(proof.time_s)}
    >
      <span className="sense-frame-picture">
        <Drawn found={found} box={proof.box} />
      </span>
      <span className="sense-frame-time" aria-hidden="true">
        {time}
      </span>
    </button>
  );
}

/** Nothing while it is asked for. */
function usePicture(sceneId: string, time_s: number, seen: boolean): Picture | undefined {
  const [found, setFound] = useState<Picture>();
  useEffect(() => {
    if (!seen) return;
    let gone = false;
    picture(sceneId, time_s).then(
      (told) => !gone && setFound(told),
      (why: SenseError) => !gone && setFound({ tile: null, data: null, note: why.message }),
    );
    return () => {
      gone = true;
    };
  }, [sceneId, time_s, seen]);
  return found;
}

function Drawn({ found, box }: { found: Picture | undefined; box: Shot["box"] }) {
  if (found === undefined) return <span className="sense-frame-waiting" />;
  const sheet = found.tile ? sheetAddress(found.tile.path) : undefined;
  const data = dataAddress(found.data);
  if (found.tile && sheet) {
    return (
      <span className="sense-frame-tile" style={crop(found.tile, sheet)}>
        <Outline box={box} />
      </span>
    );
  }
  if (data) {
    return (
      <span className="sense-frame-image">
        <img src={data} alt="" draggable={false} />
        <Outline box={box} />
      </span>
    );
  }
  return (
    <span className="sense-frame-none" title={found.note || undefined}>
      no picture
    </span>
  );
}

/** A tile of a sheet at whatever size there is room for. */
function crop(tile: Shapes["Tile"], sheet: string): React.CSSProperties {
  const share = (offset: number, room: number) => (room > 0 ? (offset / room) * 100 : 0);
  const across = share(tile.x, tile.sheet_width - tile.width);
  const down = share(tile.y, tile.sheet_height - tile.height);
  return {
    aspectRatio: `${tile.width} / ${tile.height}`,
    backgroundImage: `url("${sheet}")`,
    backgroundSize: `${(tile.sheet_width / tile.width) * 100}% ${(tile.sheet_height / tile.height) * 100}%`,
    backgroundPosition: `${across}% ${down}%`,
    ...(tile.width * 9 >= tile.height * 16 ? { width: "100%" } : { height: "100%" }),
  };
}

/** Where in the picture it was seen. */
function Outline({ box }: { box: Shot["box"] }) {
  const [x, y, width, height] = box ?? [];
  if (x === undefined || y === undefined || width === undefined || height === undefined) {
    return null;
  }
  const style = {
    left: `${x * 100}%`,
    top: `${y * 100}%`,
    width: `${width * 100}%`,
    height: `${height * 100}%`,
  };
  return <span className="sense-frame-box" style={style} />;
}

/** Whether an element was ever in sight, or near it. */
export function useSeen<T extends Element>(margin = "200px"): [React.RefObject<T>, boolean] {
  const place = useRef<T>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const element = place.current;
    if (seen || element === null) return;
    if (typeof IntersectionObserver === "undefined") {
      setSeen(true);
      return;
    }
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((each) => each.isIntersecting)) setSeen(true);
      },
      { rootMargin: margin },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [seen, margin]);
  return [place, seen];
}

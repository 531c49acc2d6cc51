/** Figures as people read them. */

/** A time of a scene: `1:05`, `1:02:09`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = String(s).padStart(2, "0");
  return h > 0 ? `${h}:${String(m).padStart(2, "0")}:${tail}` : `${m}:${tail}`;
}

/** A share as a whole percentage; short of certain it is never 100%. */
export function percent(share: number): string {
  const whole = Math.round(Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0)) * 100);
  return `${share < 1 ? Math.min(99, whole) : whole}%`;
}

/** `1 range`, `3 ranges`, `1,200 scenes`. */
export function many(count: number, what: string, several = `${what}s`): string {
  return `${count.toLocaleString("en-US")} ${count === 1 ? what : several}`;
}

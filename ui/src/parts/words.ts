/** Figures as people read them. */

/** A time of a scene: `1:05`, `1:02:09`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = String(s).padStart(2, "0");
  return h > 0 ? `${h}:${String(m).padStart(2, "0")}:${tail}` : `${m}:${tail}`;
}

/**
 * A share as a whole percentage; short of certain it is never 100.
 *
 * Told shares have four digits: of those each half is rounded up, whatever a computer makes of it.
 */
export function inPercent(share: number): number {
  const within = Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0));
  const whole = Math.round(Math.round(within * 10_000) / 100);
  return within < 1 ? Math.min(99, whole) : whole;
}

/** As it is shown: `87%`. */
export function percent(share: number): string {
  return `${inPercent(share)}%`;
}

/** The least share that is shown as so much or more, before the worker rounds it to four digits. */
export function leastShare(percentage: number): number {
  const told = percentage >= 100 ? 10_000 : percentage * 100 - 50;
  return Math.max(0, told - 0.5) / 10_000;
}

/** What the user calls it; `name` is ours, by which it is spoken of. */
export function nameOf({ name, called }: { name: string; called?: string | undefined }): string {
  return called ?? name;
}

/** `1 range`, `3 ranges`, `1,200 scenes`. */
export function many(count: number, what: string, several = `${what}s`): string {
  return `${count.toLocaleString("en-US")} ${count === 1 ? what : several}`;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
